package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"binrepd/userspace/wire/bin1/bin1test"
)

// readAll reads everything in the files.
func readAll(t testing.TB, r *Reader) (list []Datagram) {
	t.Helper()
	defer r.Close()
	for {
		var d Datagram
		err := r.Next(&d)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		d.Payload = bytes.Clone(d.Payload)
		list = append(list, d)
	}
}

// TestCaptures compares with a second reader and a second reassembly that belong to the tests.
func TestCaptures(t *testing.T) {
	var paths []string
	var want []bin1test.Datagram
	for _, c := range bin1test.Captures(t) {
		folder, err := bin1test.CaptureFolder()
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, filepath.Join(folder, c.Name+".pcap"))
		want = append(want, c.Datagrams...)
	}
	r := NewReader(paths...)
	got := readAll(t, r)
	if len(got) != len(want) || r.Counts.Fragments == 0 || r.Counts.Damaged != 0 || r.Counts.Torn != 0 {
		t.Fatalf("%d datagrams, want %d; %+v", len(got), len(want), r.Counts)
	}
	for i, w := range want {
		if g := got[i]; !g.Time.Equal(w.Time) || g.Source != w.Source || g.Destination != w.Destination || !bytes.Equal(g.Payload, w.Payload) {
			t.Fatalf("datagram %d: %v %v > %v, want %v %v > %v", i, g.Time, g.Source, g.Destination, w.Time, w.Source, w.Destination)
		}
	}
}

// serialize builds a frame.
func serialize(t testing.TB, list ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, list...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// writePcap writes a classic file.
func writePcap(t testing.TB, link layers.LinkType, frames ...[]byte) string {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	if err := w.WriteFileHeader(1<<17, link); err != nil {
		t.Fatal(err)
	}
	for i, f := range frames {
		info := gopacket.CaptureInfo{Timestamp: time.Unix(1_800_000_000, int64(i)), CaptureLength: len(f), Length: len(f)}
		if err := w.WritePacket(info, f); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "frames.pcap")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	from4, to4 = netip.MustParseAddrPort("192.0.2.7:5555"), netip.MustParseAddrPort("192.0.2.8:5556")
	from6, to6 = netip.MustParseAddrPort("[2001:db8::7]:5555"), netip.MustParseAddrPort("[2001:db8::8]:5556")
)

func udpOver(from, to netip.AddrPort) (*layers.IPv4, *layers.IPv6, *layers.UDP) {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()},
		&layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()},
		&layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
}

// TestKindsOfFrames: link types, nested VLAN tags, both address families, and frames without a datagram.
func TestKindsOfFrames(t *testing.T) {
	payload := gopacket.Payload("P4CK and more")
	v4, _, u4 := udpOver(from4, to4)
	_, v6, u6 := udpOver(from6, to6)
	mac := []byte{2, 0, 0, 0, 0, 1}
	ether := func(kind layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: mac, DstMAC: mac, EthernetType: kind}
	}
	tag := func(kind layers.EthernetType) *layers.Dot1Q { return &layers.Dot1Q{VLANIdentifier: 7, Type: kind} }
	icmp := *v4
	icmp.Protocol = layers.IPProtocolICMPv4
	sll := append([]byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0}, serialize(t, v4, u4, payload)...)
	for name, tc := range map[string]struct {
		link   layers.LinkType
		frames [][]byte
		want   []netip.AddrPort // sources
		counts Counts
	}{
		"ethernet": {
			layers.LinkTypeEthernet, [][]byte{
				serialize(t, ether(layers.EthernetTypeIPv4), v4, u4, payload),
				serialize(t, ether(layers.EthernetTypeDot1Q), tag(layers.EthernetTypeIPv6), v6, u6, payload),
				serialize(t, ether(layers.EthernetTypeQinQ), tag(layers.EthernetTypeDot1Q), tag(layers.EthernetTypeIPv4), v4, u4, payload),
				serialize(t, ether(layers.EthernetTypeARP), gopacket.Payload(make([]byte, 46))),
				serialize(t, ether(layers.EthernetTypeIPv4), &icmp, gopacket.Payload(make([]byte, 20))),
				serialize(t, ether(layers.EthernetTypeIPv4), v4, u4, payload)[:40],
				{1, 2, 3},
			},
			[]netip.AddrPort{from4, from6, from4}, Counts{Frames: 7, Datagrams: 3, Other: 2, Damaged: 2},
		},
		"raw": {
			layers.LinkTypeRaw, [][]byte{serialize(t, v6, u6, payload), serialize(t, v4, u4, payload), {}},
			[]netip.AddrPort{from6, from4}, Counts{Frames: 3, Datagrams: 2, Damaged: 1},
		},
		"cooked": {layers.LinkTypeLinuxSLL, [][]byte{sll}, []netip.AddrPort{from4}, Counts{Frames: 1, Datagrams: 1}},
		"other":  {layers.LinkTypeLinuxUSB, [][]byte{sll}, nil, Counts{Frames: 1, Other: 1}},
	} {
		r := NewReader(writePcap(t, tc.link, tc.frames...))
		var sources []netip.AddrPort
		for _, d := range readAll(t, r) {
			sources = append(sources, d.Source)
			if string(d.Payload) != string(payload) {
				t.Errorf("%s: payload %q", name, d.Payload)
			}
		}
		if !slices.Equal(sources, tc.want) || r.Counts != tc.counts {
			t.Errorf("%s: %v %+v, want %v %+v", name, sources, r.Counts, tc.want, tc.counts)
		}
	}
}

// golden is a file of the recorder with 8 datagrams.
const golden = "../record/testdata/golden.pcapng"

// TestTornFiles cuts a file at many places. Every complete datagram is read, and no cut is an error.
func TestTornFiles(t *testing.T) {
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "torn.pcapng")
	most := 0
	for n := 0; n <= len(b); n += 4 { // blocks are multiples of four bytes, so this cuts at and between their boundaries
		if err := os.WriteFile(path, b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		r := NewReader(path, golden)
		got := readAll(t, r)
		if len(got) < most || len(got) > most+1 && n > 0 && most > 0 || r.Counts.Torn > 1 {
			t.Fatalf("of %d bytes: %d datagrams after %d, %+v", n, len(got), most, r.Counts)
		}
		most = len(got)
	}
	if most != 16 {
		t.Errorf("%d datagrams at last", most)
	}
}

func TestNotCaptureFiles(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no capture at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	var d Datagram
	if err := NewReader(text).Next(&d); !errors.Is(err, errFormat) {
		t.Error(err)
	}
	gone := filepath.Join(dir, "gone")
	if err := NewReader(gone).Next(&d); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	r := NewReader()
	r.AddRecording(gone, golden)
	if got := readAll(t, r); len(got) != 8 || r.Counts.Gone != 1 {
		t.Errorf("%d datagrams, %+v", len(got), r.Counts)
	}
}

// TestDamagedRecording: in a damaged file of a recording, the part before the damage is read, and so are the later
// files. In another file damage is an error, because a user has named that file.
func TestDamagedRecording(t *testing.T) {
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(from int) []byte{
		"zeros":           func(from int) []byte { return append(bytes.Clone(b[:from]), make([]byte, 4096)...) },
		"ones":            func(from int) []byte { return append(bytes.Clone(b[:from]), bytes.Repeat([]byte{255}, 4096)...) },
		"short block":     func(from int) []byte { return append(bytes.Clone(b[:from]), 6, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0) },
		"other interface": func(from int) []byte { return append(bytes.Clone(b[:from]), otherInterface()...) },
	} {
		path := filepath.Join(t.TempDir(), "damaged.pcapng")
		if err := os.WriteFile(path, damage(len(b)), 0o600); err != nil {
			t.Fatal(err)
		}
		r := NewReader()
		r.AddRecording(path, golden)
		if got := readAll(t, r); len(got) != 16 || r.Counts.Torn != 1 {
			t.Errorf("%s after the last: %d datagrams, %+v", name, len(got), r.Counts)
		}
		if err := os.WriteFile(path, damage(0), 0o600); err != nil {
			t.Fatal(err)
		}
		r = NewReader()
		r.AddRecording(path, golden)
		if got := readAll(t, r); len(got) != 8 || r.Counts.Torn != 1 {
			t.Errorf("%s from the beginning: %d datagrams, %+v", name, len(got), r.Counts)
		}
		var d Datagram
		if err := NewReader(path).Next(&d); !errors.Is(err, errFormat) {
			t.Errorf("%s, not of a recording: %v", name, err)
		}
	}
}

// otherInterface is a block with a packet of an interface that the file doesn't declare.
func otherInterface() []byte {
	block := make([]byte, 36)
	for at, v := range map[int]uint32{0: 6, 4: 36, 8: 99, 20: 4, 24: 4, 32: 36} {
		binary.LittleEndian.PutUint32(block[at:], v)
	}
	return block
}

// FuzzReader: for any file, reading ends and returns nothing larger than the file.
func FuzzReader(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader()
		if err := r.begin(bytes.NewReader(b)); err != nil {
			return
		}
		frames, size := 0, 0
		for {
			data, info, err := r.frames.ZeroCopyReadPacketData()
			if err != nil {
				return
			}
			var d Datagram
			link := r.link
			if len(info.AncillaryData) > 0 {
				link, _ = info.AncillaryData[0].(layers.LinkType)
			}
			if r.decode(link, data, info, &d, &r.Counts) && len(d.Payload) > len(b) {
				t.Fatalf("%d bytes of payload in a file of %d", len(d.Payload), len(b))
			}
			if frames++; frames > len(b) {
				t.Fatalf("%d frames in %d bytes", frames, len(b))
			}
			size += len(data)
			if size > len(b) {
				t.Fatalf("%d bytes of frames in a file of %d", size, len(b))
			}
		}
	})
}
