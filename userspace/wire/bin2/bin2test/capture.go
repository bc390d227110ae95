package bin2test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"binrepd/userspace/wire/bin2"
)

// Packet is one packet of a capture.
type Packet struct {
	// Time is when its last byte was seen.
	Time time.Time
	From netip.AddrPort
	To   netip.AddrPort
	// Connection numbers the TCP connections of the capture; both directions of one have the same number.
	Connection int
	bin2.Packet
}

// Capture is a capture of the connections of one cluster.
type Capture struct {
	// Name is the folder and the file without its ending: "3.6/S1".
	Name string
	// Packets are those of all connections in the order of their times.
	Packets []Packet
	// Incomplete is the number of directions of connections that ended within a packet.
	Incomplete int
}

// TB is the part of testing.TB that Captures needs.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// RequireEnv is the environment variable that turns tests that are skipped for lack of captures into failed ones when
// it is "1".
const RequireEnv = "BINREPD_REQUIRE_CAPTURES"

// Folder returns the folder of the captures of clusters: shared/captures/tcp beside the repository, which is the
// nearest folder with a go.mod, from the working directory upwards. Where there is none the test is skipped.
func Folder(t TB) string {
	t.Helper()
	root, err := filepath.Abs(".")
	for err == nil {
		if _, missing := os.Stat(filepath.Join(root, "go.mod")); missing == nil {
			break
		}
		if parent := filepath.Dir(root); parent != root {
			root = parent
			continue
		}
		err = fmt.Errorf("no go.mod above the working directory: %w", os.ErrNotExist)
	}
	folder := filepath.Join(filepath.Dir(root), "shared", "captures", "tcp")
	if err == nil {
		_, err = os.Stat(folder)
	}
	if err != nil {
		if os.Getenv(RequireEnv) == "1" {
			t.Fatalf("needs captures of real clusters, and %s=1 forbids to skip: %v", RequireEnv, err)
		}
		t.Skipf("SKIPPED, needs captures of real clusters in ../shared/captures/tcp beside the repository: %v (%s=1 makes this a failure)",
			err, RequireEnv)
	}
	return folder
}

// Captures returns all captures of Folder.
func Captures(t TB) []*Capture {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Folder(t), "*", "*.pcap"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s: %v", Folder(t), err)
	}
	var captures []*Capture
	for _, file := range files {
		captures = append(captures, load(t, file))
	}
	return captures
}

// Load returns one capture of Folder by its name: "3.6/S1".
func Load(t TB, name string) *Capture {
	t.Helper()
	return load(t, filepath.Join(Folder(t), filepath.FromSlash(name)+".pcap"))
}

func load(t TB, file string) *Capture {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v", err)
	}
	c, err := Read(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	stem := file[:len(file)-len(".pcap")]
	c.Name = filepath.Base(filepath.Dir(stem)) + "/" + filepath.Base(stem)
	return c
}

// Read reads a capture file of Ethernet frames in the classic format and cuts all its TCP streams into packets.
func Read(file io.Reader) (*Capture, error) {
	r, err := pcapgo.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	streams := assembler{current: map[flow]*stream{}, connections: map[flow]int{}}
	for {
		data, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("capture: %w", err)
		}
		frame := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.NoCopy)
		ip, _ := frame.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		tcp, _ := frame.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if ip == nil || tcp == nil {
			continue
		}
		from, _ := netip.AddrFromSlice(ip.SrcIP)
		to, _ := netip.AddrFromSlice(ip.DstIP)
		f := flow{netip.AddrPortFrom(from, uint16(tcp.SrcPort)), netip.AddrPortFrom(to, uint16(tcp.DstPort))}
		streams.add(f, tcp, info.Timestamp)
	}
	c := &Capture{}
	for _, s := range streams.all {
		packets, rest, err := s.packets()
		if err != nil {
			return nil, err
		}
		c.Packets = append(c.Packets, packets...)
		if rest > 0 {
			c.Incomplete++
		}
	}
	slices.SortStableFunc(c.Packets, func(a, b Packet) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	return c, nil
}
