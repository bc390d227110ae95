package record

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"go.uber.org/goleak"

	"binrepd/userspace/in/packets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	listen4 = netip.MustParseAddrPort("192.0.2.1:5556")
	listen6 = netip.MustParseAddrPort("[2001:db8::1]:5557")
	source4 = netip.MustParseAddrPort("198.51.100.7:5555")
	source6 = netip.MustParseAddrPort("[2001:db8::99]:40000")
)

// open opens a recorder of two listeners with small buffers.
func open(t *testing.T, dir string, change func(*Config)) *Recorder {
	t.Helper()
	cfg := Config{
		Dir: dir, Limit: LeastLimit, Listeners: []netip.AddrPort{listen4, listen6}, Taps: 2, Buffer: 4 * chunkSize,
		Application: "binrepd test", Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	r, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeRecorder(t, r) })
	return r
}

func closeRecorder(t *testing.T, r *Recorder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		t.Error(err)
	}
}

// await waits for a condition.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond) // before the next check of the condition
	}
}

func datagram4(payload []byte, received int64) packets.Packet {
	return packets.Packet{Payload: payload, Sender: packets.Sender{Endpoint: packets.EndpointOf(source4)}, Received: received}
}

func datagram6(payload []byte, received int64) packets.Packet {
	return packets.Packet{Payload: payload, Sender: packets.Sender{Endpoint: packets.EndpointOf(source6)}, Intake: 1, Received: received}
}

// packet is one packet as a reader of the files sees it.
type packet struct {
	at       time.Time
	from, to netip.AddrPort
	payload  []byte
}

// readFiles reads all files in dir, and checks every checksum.
func readFiles(t *testing.T, dir string) (packets []packet) {
	t.Helper()
	files, err := Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := os.Open(file.Path)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, readFile(t, f)...)
		f.Close()
	}
	return packets
}

func readFile(t *testing.T, f io.Reader) (packets []packet) {
	t.Helper()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.NInterfaces() { // libpcap reads no file with several link types (fault 30)
		if in, err := r.Interface(i); err != nil || in.LinkType != layers.LinkTypeEthernet {
			t.Fatalf("interface %d, %v: link type %v", i, err, in.LinkType)
		}
	}
	for {
		data, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return packets
		}
		if err != nil {
			t.Fatal(err)
		}
		p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.Default)
		if p.ErrorLayer() != nil {
			t.Fatalf("%v: %x", p.ErrorLayer().Error(), data[:min(len(data), 60)])
		}
		udp := p.TransportLayer().(*layers.UDP)
		if err := udp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
		err, mistakes := p.VerifyChecksums()
		if err != nil {
			t.Fatal(err)
		}
		if len(mistakes) > 0 {
			t.Errorf("checksums: %+v", mistakes)
		}
		flow := p.NetworkLayer().NetworkFlow()
		address := func(e gopacket.Endpoint, port layers.UDPPort) netip.AddrPort {
			a, _ := netip.AddrFromSlice(e.Raw())
			return netip.AddrPortFrom(a, uint16(port))
		}
		packets = append(packets, packet{
			at: ci.Timestamp, from: address(flow.Src(), udp.SrcPort), to: address(flow.Dst(), udp.DstPort),
			payload: bytes.Clone(udp.Payload),
		})
		in, err := r.Interface(ci.InterfaceIndex)
		if err != nil || in.Name != packets[len(packets)-1].to.String() {
			t.Errorf("interface %d, %v: %q of a packet to %v", ci.InterfaceIndex, err, in.Name, packets[len(packets)-1].to)
		}
	}
}

// TestRoundTrip: payloads of every length, and the largest, come back with their times and addresses, for both
// families.
func TestRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "for", "it")
	r := open(t, dir, nil)
	payload := make([]byte, 65507)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	var shown []packets.Packet
	const begin = 1_763_900_000_123_456_789
	for n := range 70 {
		shown = append(shown, datagram4(payload[:n], begin+int64(n)), datagram6(payload[n:2*n], begin+int64(n)))
	}
	shown = append(shown, datagram4(payload, begin+100), datagram6(payload, begin+100), datagram6(payload[:65505], begin+101))
	for len(shown) > 0 {
		n := min(len(shown), 7)
		r.Tap(0).Record(shown[:n])
		shown = shown[n:]
	}
	closeRecorder(t, r)
	got := readFiles(t, dir)
	if len(got) != 143 {
		t.Fatalf("%d packets", len(got))
	}
	for i, p := range got {
		from, to, want := source4, listen4, payload[:i/2]
		if i%2 == 1 {
			from, to, want = source6, listen6, payload[i/2:i/2*2]
		}
		switch i {
		case 140:
			want = payload
		case 141:
			want = payload
		case 142:
			from, to, want = source6, listen6, payload[:65505]
		}
		at := int64(begin + min(i/2, 100))
		if i >= 140 {
			at = begin + 100 + int64(i-140)/2
		}
		if p.from != from || p.to != to || !bytes.Equal(p.payload, want) || p.at.UnixNano() != at {
			t.Fatalf("packet %d: %v > %v at %d, %d bytes; want %v > %v at %d, %d bytes", i, p.from, p.to, p.at.UnixNano(), len(p.payload), from, to, at, len(want))
		}
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&^0o750 != 0 {
		t.Errorf("folder: %v %v", info.Mode(), err)
	}
	files, _ := Files(dir)
	if info, err := os.Stat(files[0].Path); err != nil || len(files) != 1 || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("%d files, %v %v", len(files), info.Mode(), err)
	}
	if s := r.Status(); s.Recorded != 143 || s.Dropped["slow_disk"]+s.Dropped["disk_error"]+s.Dropped["at_stop"] != 0 || s.Files != 1 ||
		s.FileBytes != files[0].Size {
		t.Errorf("%+v", s)
	}
}

// TestGolden compares a file with the committed one, byte for byte.
func TestGolden(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, nil)
	for i, text := range []string{"", "a", "P4CK, but no packet", "four"} {
		r.Tap(0).Record([]packets.Packet{datagram4([]byte(text), 1e18+int64(i)), datagram6([]byte(text), 1e18+int64(i))})
	}
	closeRecorder(t, r)
	files, err := Files(dir)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	got, err := os.ReadFile(files[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/golden.pcapng"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v: not as committed; UPDATE_GOLDEN=1 writes it", err)
	}
}

// TestRecordDoesNotAllocate covers the path that every packet takes.
func TestRecordDoesNotAllocate(t *testing.T) {
	templates := []blockTemplate{newBlockTemplate(0, listen4), newBlockTemplate(1, listen6)}
	var failing atomic.Bool
	tap := newTap(templates, make([]byte, 64*chunkSize), &failing)
	batch := make([]packets.Packet, 64)
	for i := range batch {
		if batch[i] = datagram4(make([]byte, 437), 1); i%2 == 0 {
			batch[i] = datagram6(make([]byte, 437), 1)
		}
	}
	if n := testing.AllocsPerRun(1000, func() {
		tap.Record(batch) // it takes new chunks, and drops when there are no more
		for b, n := tap.pending(); b != nil && tap.drained < 100; b, n = tap.pending() {
			tap.take(b, n)
		}
	}); n > 0 {
		t.Errorf("%v allocations a batch", n)
	}
	if tap.drained < 100 || tap.drops[slowDisk].Load() == 0 {
		t.Errorf("%d chunks, %d datagrams dropped: not every case was tested", tap.drained, tap.drops[slowDisk].Load())
	}
}

func TestConfigErrors(t *testing.T) {
	dir := t.TempDir()
	occupied := filepath.Join(dir, "file")
	if err := os.WriteFile(occupied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, filepath.Join(dir, "taken"), nil)
	for name, tc := range map[string]struct {
		cfg  Config
		want string
	}{
		"limit":   {Config{Dir: dir, Limit: LeastLimit - 1, Listeners: []netip.AddrPort{listen4}, Taps: 1}, "at least"},
		"nothing": {Config{Dir: dir, Limit: LeastLimit, Taps: 1}, "nothing to record"},
		"a file":  {Config{Dir: occupied, Limit: LeastLimit, Listeners: []netip.AddrPort{listen4}, Taps: 1}, "not a directory"},
		"another": {Config{Dir: filepath.Join(dir, "taken"), Limit: LeastLimit, Listeners: []netip.AddrPort{listen4}, Taps: 1}, "another binrepd"},
	} {
		if r, err := Open(tc.cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v %v", name, r, err)
		}
	}
}
