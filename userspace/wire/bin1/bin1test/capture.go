package bin1test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Capture is what one run of a real sender left behind.
type Capture struct {
	Name      string // of the file, without .pcap
	Frames    []Frame
	Datagrams []Datagram
	// Listed is the sender's own dlg_list at the end, all states.
	Listed []Listed
	// Expected is what of it a replica must hold: states 3 and 4.
	Expected []Listed
	// Statistics holds the sender's counters: create_sent, update_sent, delete_sent, active_dialogs ...
	Statistics map[string]uint64
}

// TB is the part of testing.TB that Captures needs. The package serves programs, too, which testing shouldn't
// be linked into.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// RequireEnv is the environment variable that turns tests that are skipped for lack of captures into failed ones when
// it is "1".
const RequireEnv = "BINREPD_REQUIRE_CAPTURES"

// NoCaptures skips a test that needs captures of real senders, which are not part of the repository. With RequireEnv
// set to 1 it fails instead.
func NoCaptures(t TB, err error) {
	t.Helper()
	if os.Getenv(RequireEnv) == "1" {
		t.Fatalf("needs captures of real senders, and %s=1 forbids to skip: %v", RequireEnv, err)
	}
	t.Skipf("SKIPPED, needs captures of real senders in ../shared/captures beside the repository, which are not part of it: %v (%s=1 makes this a failure)", err, RequireEnv)
}

// Captures loads all captures from the folder shared/captures beside the repository. Where there is none, NoCaptures.
func Captures(t TB) []*Capture {
	t.Helper()
	folder, err := CaptureFolder()
	if err != nil {
		NoCaptures(t, err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.pcap"))
	if err != nil || len(files) == 0 {
		NoCaptures(t, fmt.Errorf("no *.pcap in %s", folder))
	}
	var captures []*Capture
	for _, file := range files {
		c, err := LoadCapture(file)
		if err != nil {
			t.Fatalf("%v", err)
		}
		captures = append(captures, c)
	}
	return captures
}

// CaptureFolder finds the folder of captures: ../shared/captures as seen from the root of the repository, which is the
// nearest folder with a go.mod, from the working directory upwards.
func CaptureFolder() (string, error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return "", fmt.Errorf("working directory: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(root)
		if parent == root {
			return "", fmt.Errorf("repository: no go.mod above the working directory: %w", os.ErrNotExist)
		}
		root = parent
	}
	folder := filepath.Join(filepath.Dir(root), "shared", "captures")
	if _, err := os.Stat(folder); err != nil {
		return "", err
	}
	return folder, nil
}

// LoadCapture loads the capture in file, NAME.pcap, and the list and the statistics of its sender from the files
// NAME.dialogs.jsonl and NAME.statistics beside it.
func LoadCapture(file string) (*Capture, error) {
	stem := strings.TrimSuffix(file, ".pcap")
	c := &Capture{Name: filepath.Base(stem)}
	err := readFile(file, func(r io.Reader) (err error) {
		if c.Frames, err = ReadPcap(r); err != nil {
			return err
		}
		c.Datagrams, err = Datagrams(c.Frames)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = readFile(stem+".dialogs.jsonl", func(r io.Reader) (err error) {
		c.Listed, err = ReadListed(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, l := range c.Listed {
		if l.State == 3 || l.State == 4 {
			c.Expected = append(c.Expected, l)
		}
	}
	err = readFile(stem+".statistics", func(r io.Reader) (err error) {
		c.Statistics, err = ReadStatistics(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

func readFile(name string, read func(io.Reader) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(bufio.NewReader(f)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// ReadStatistics reads the text form of OpenSIPS's get_statistics: "dialog:name = n" from version 1.10,
// "dialog:name:: n" from later ones. It passes over lines of other form and of other groups.
func ReadStatistics(r io.Reader) (map[string]uint64, error) {
	statistics := map[string]uint64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "dialog:")
		if !ok {
			continue
		}
		name, value, ok := strings.Cut(text, "::")
		if !ok {
			if name, value, ok = strings.Cut(text, "="); !ok {
				continue
			}
		}
		n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("statistic %s: %w", name, err)
		}
		statistics[strings.TrimSpace(name)] = n
	}
	return statistics, lines.Err()
}
