package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "binrepd"

// imports are the rules of who may import whom among our packages, without tests. A package that isn't listed here
// fails TestImports: whoever adds one says where it stands. A command may import everything.
var imports = map[string][]string{
	"bpf":                {},
	"dialog":             {},
	"userspace/datagram": {},
	"userspace/thread":   {},
	"userspace/serving":  {},

	"userspace/bin":    {"dialog"},
	"userspace/ring":   {"userspace/datagram", "bpf"},
	"userspace/socket": {"userspace/datagram"},
	"userspace/gate":   {"userspace/datagram"},
	"userspace/tuning": {"userspace/thread"},
	"userspace/record": {"userspace/datagram"},
	// The history of a call decodes packets; a replay moves the times in them on.
	"userspace/capture": {"userspace/datagram", "userspace/bin", "dialog"},
	"userspace/replay":  {"userspace/capture", "userspace/datagram", "userspace/bin", "dialog"},
	"userspace/shield":  {"userspace/bin", "dialog"},
	"userspace/engine":  {"userspace/datagram", "userspace/bin", "dialog"},
	"userspace/egress":  {"userspace/datagram", "userspace/bin", "userspace/shield", "dialog"},
	"userspace/resync":  {"userspace/datagram", "userspace/bin", "userspace/shield", "dialog"},
	// The account of the engine speaks of verdicts of bin; finding a Call-ID takes the steering hash of datagram.
	"userspace/control": {"userspace/serving", "userspace/engine", "userspace/bin", "userspace/datagram", "dialog"},
	// Its input is what status shows, so that both tell the same and nothing is counted twice.
	"userspace/telemetry": {"userspace/control", "userspace/serving", "userspace/engine", "userspace/bin", "dialog"},
	"userspace/live":      {"userspace/control", "dialog"},
	// The page shows what control tells, in its types.
	"userspace/statuspage": {"userspace/control"},
	// The bench measures everything, with the traffic that the tests use.
	"userspace/bench": {"bpf", "dialog", "userspace/datagram", "userspace/bin", "userspace/bin/bintest", "userspace/ring", "userspace/record", "userspace/socket",
		"userspace/engine", "userspace/egress", "userspace/resync", "userspace/thread"},
}

// commands are the folders of programs.
var commands = [...]string{"cmd/", "deploy/"}

// onlyIn are libraries that may be imported by some of our packages only, so that what they stand for stays in one place.
var onlyIn = [...]struct {
	library string
	ours    []string
}{
	{"github.com/urfave/cli", []string{"cmd/binrepd"}},
	{"github.com/cilium/ebpf", []string{"bpf", "bpf/bpftest", "userspace/ring", "userspace/bench"}},
	{"github.com/prometheus", []string{"userspace/telemetry"}},
	{"github.com/safchain/ethtool", []string{"userspace/tuning"}},
	{"github.com/gdamore/tcell", []string{"userspace/live"}},
	{"net/http", []string{"userspace/control", "userspace/telemetry", "userspace/statuspage", "userspace/serving", "cmd/binrepd"}},
	{"testing", nil},
	{"pgregory.net/rapid", nil},
	{"go.uber.org/goleak", nil},
}

// pure packages do no I/O and know no system: no file, no network, no clock of their own.
var pure = [...]string{"dialog", "userspace/bin", "userspace/datagram"}

// listed is what `go list -json` tells of a package.
type listed struct {
	ImportPath string
	Dir        string
	Name       string
	Doc        string
	GoFiles    []string
	Imports    []string
}

// goList returns the packages of the module, their paths relative to it.
func goList(t *testing.T) []listed {
	t.Helper()
	out := goCommand(t, nil, "list", "-json=ImportPath,Dir,Name,Doc,GoFiles,Imports", "./...")
	var packages []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal("go list:", err)
		}
		p.ImportPath = strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		packages = append(packages, p)
	}
	if len(packages) < 4 {
		t.Fatalf("go list found %d packages", len(packages))
	}
	return packages
}

// goCommand runs the go command in the root of the module and returns its output.
func goCommand(t *testing.T, environment []string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = moduleRoot(t)
	cmd.Env = append(os.Environ(), environment...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s go %s: %v\n%s", strings.Join(environment, " "), strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// moduleRoot is the folder of go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = up
	}
}

func isCommand(path string) bool {
	return slices.ContainsFunc(commands[:], func(c string) bool { return strings.HasPrefix(path, c) })
}

// isTestHelper tells of packages such as datagram/datagramtest, which tests of any package may import.
func isTestHelper(path string) bool { return strings.HasSuffix(path, "test") }

func TestImports(t *testing.T) {
	for _, p := range goList(t) {
		if isCommand(p.ImportPath) {
			continue
		}
		allowed, known := imports[p.ImportPath]
		helper := isTestHelper(p.ImportPath)
		if !known && !helper {
			t.Errorf("%s has no rule: say in this test what it may import", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			ours, isOurs := strings.CutPrefix(i, module+"/")
			switch {
			case isOurs && isTestHelper(ours) && !helper && !slices.Contains(allowed, ours):
				t.Errorf("%s imports the test helper %s", p.ImportPath, ours)
			case isOurs && isCommand(ours):
				t.Errorf("%s imports the command %s", p.ImportPath, ours)
			case isOurs && !helper && !slices.Contains(allowed, ours):
				t.Errorf("%s must not import %s", p.ImportPath, ours)
			}
		}
	}
}

func TestLibrariesInTheirPlace(t *testing.T) {
	for _, p := range goList(t) {
		for _, rule := range onlyIn {
			test := len(rule.ours) == 0 && isTestHelper(p.ImportPath)
			demo := strings.HasPrefix(p.ImportPath, "deploy/")
			if test || demo || slices.Contains(rule.ours, p.ImportPath) {
				continue
			}
			for _, i := range p.Imports {
				if i == rule.library || strings.HasPrefix(i, rule.library+"/") {
					t.Errorf("%s imports %s, which belongs to %v and tests", p.ImportPath, i, rule.ours)
				}
			}
		}
		if slices.Contains(pure[:], p.ImportPath) {
			for _, i := range p.Imports {
				if i == "net" || i == "io/fs" || i == "time/tzdata" || strings.HasPrefix(i, "os/") {
					t.Errorf("%s is pure and imports %s", p.ImportPath, i)
				}
			}
		}
	}
}

func TestEveryPackageHasDoc(t *testing.T) {
	for _, p := range goList(t) {
		if !slices.Contains(p.GoFiles, "doc.go") && !isTestHelper(p.ImportPath) && !strings.HasPrefix(p.ImportPath, "deploy/") {
			t.Errorf("%s has no doc.go", p.ImportPath)
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		for _, name := range [...]string{"util", "utils", "common", "helper", "helpers", "misc"} {
			if p.Name == name {
				t.Errorf("%s: package %s says nothing of what is in it", p.ImportPath, name)
			}
		}
	}
}

// TestOtherSystems compiles what must work elsewhere: the pure packages on a Mac, everything on arm64.
func TestOtherSystems(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: compiling for other systems takes a while")
	}
	t.Run("darwin", func(t *testing.T) {
		goCommand(t, []string{"GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=0"},
			"vet", "./dialog", "./userspace/datagram", "./userspace/bin", "./userspace/engine")
	})
	t.Run("arm64", func(t *testing.T) {
		goCommand(t, []string{"GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0"}, "build", "-trimpath", "./...") // as make deb does, to compile once for both
	})
	t.Run("portable sockets", func(t *testing.T) {
		goCommand(t, []string{"GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=0"}, "build", "./userspace/socket")
	})
}
