package capture

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"binrepd/deploy/tooltest"
)

// The files of these tests are made byte by byte, so that nothing that reads them also wrote them.

var be, le = binary.BigEndian, binary.LittleEndian

// udp is a datagram with its header.
func udp(payload string) []byte {
	b := be.AppendUint16(be.AppendUint16(nil, 5555), 5556)
	b = be.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// ip4 is an IPv4 packet; where has the flags and the offset of a fragment.
func ip4(protocol byte, where uint16, content []byte) []byte {
	b := be.AppendUint16([]byte{0x45, 0}, uint16(20+len(content)))
	b = be.AppendUint16(append(b, 0, 77), where)
	b = append(b, 64, protocol, 0, 0, 192, 0, 2, 7, 192, 0, 2, 8)
	return append(b, content...)
}

// ip6 is an IPv6 packet.
func ip6(next byte, content []byte) []byte {
	b := be.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(content)))
	b = append(b, next, 64)
	b = append(b, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07"...)
	b = append(b, "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08"...)
	return append(b, content...)
}

// extension is an extension header of 8 * (1 + more) bytes with padding options in it.
func extension(next byte, more int, content []byte) []byte {
	b := make([]byte, 8+8*more)
	b[0], b[1], b[2], b[3] = next, byte(more), 1, byte(len(b)-4)
	return append(b, content...)
}

// fragment6 is the header of a fragment.
func fragment6(next byte, offset uint16, more bool, content []byte) []byte {
	b := be.AppendUint16([]byte{next, 0}, offset)
	if more {
		b[3] |= 1
	}
	return append(be.AppendUint32(b, 99), content...)
}

func ethernet(kind uint16, content []byte) []byte {
	return append(be.AppendUint16([]byte("\x02BIN\x00\x01\x02BIN\x00\x02"), kind), content...)
}

func tagged(vlan, kind uint16, content []byte) []byte {
	return append(be.AppendUint16(be.AppendUint16(nil, vlan), kind), content...)
}

// pcap is a file of the older format. Each record has its captured length and, if it differs, its length.
type pcap struct {
	order  binary.AppendByteOrder
	magic  uint32
	link   uint32
	frames []pcapFrame
}

type pcapFrame struct {
	data   []byte
	length int // 0: of data
}

func (p *pcap) bytes() []byte {
	b := p.order.AppendUint32(nil, p.magic)
	b = p.order.AppendUint16(p.order.AppendUint16(b, 2), 4)
	b = p.order.AppendUint32(append(b, make([]byte, 8)...), 1<<16)
	b = p.order.AppendUint32(b, p.link)
	for i, f := range p.frames {
		length := f.length
		if length == 0 {
			length = len(f.data)
		}
		b = p.order.AppendUint32(p.order.AppendUint32(b, 1_800_000_000), uint32(i))
		b = p.order.AppendUint32(p.order.AppendUint32(b, uint32(len(f.data))), uint32(length))
		if p.magic == magicModified {
			b = append(b, make([]byte, 8)...)
		}
		b = append(b, f.data...)
	}
	return b
}

// file is a classic file of whole frames.
func file(link uint32, frames ...[]byte) []byte {
	p := pcap{le, magicMicroseconds, link, nil}
	for _, f := range frames {
		p.frames = append(p.frames, pcapFrame{f, 0})
	}
	return p.bytes()
}

// block is a block of pcapng.
func block(order binary.AppendByteOrder, kind uint32, content []byte) []byte {
	content = append(slices.Clip(content), make([]byte, -len(content)&3)...)
	b := order.AppendUint32(order.AppendUint32(nil, kind), uint32(12+len(content)))
	return order.AppendUint32(append(b, content...), uint32(12+len(content)))
}

// section is a section header and its interfaces.
func section(order binary.AppendByteOrder, links ...uint16) []byte {
	b := order.AppendUint16(order.AppendUint16(order.AppendUint32(nil, 0x1a2b3c4d), 1), 0)
	b = block(order, 0x0a0d0d0a, order.AppendUint64(b, 1<<64-1))
	for _, l := range links {
		b = append(b, block(order, 1, order.AppendUint32(order.AppendUint16(order.AppendUint16(nil, l), 0), 0))...)
	}
	return b
}

// enhanced is an enhanced packet block.
func enhanced(order binary.AppendByteOrder, on uint32, length int, frame []byte) []byte {
	const time = 1_800_000_000 * 1_000_000
	b := order.AppendUint32(order.AppendUint32(nil, on), time>>32)
	b = order.AppendUint32(order.AppendUint32(b, time&(1<<32-1)), uint32(len(frame)))
	return block(order, 6, append(order.AppendUint32(b, uint32(length)), frame...))
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// oddFile is a file, and the payloads that are in it. tshark must find the same.
type oddFile struct {
	name   string
	bytes  []byte
	want   []string
	counts Counts // but Frames and Datagrams
}

func oddFiles() []oddFile {
	const one, two = "P4CK and one", "P4CK and another"
	v4, v6 := ip4(17, 0, udp(one)), ip6(17, udp(two))
	e4, e6 := ethernet(0x0800, v4), ethernet(0x86dd, v6)
	both := []string{one, two}
	long := strings.Repeat("long ", 20)
	parts := udp(long)
	cooked := func(kind uint16) []byte {
		return be.AppendUint16([]byte("\x00\x00\x00\x01\x00\x06\x02BIN\x00\x02\x00\x00"), kind)
	}
	cooked2 := func(kind uint16) []byte {
		return append(be.AppendUint16(nil, kind), "\x00\x00\x00\x00\x00\x02\x00\x01\x00\x06\x02BIN\x00\x02\x00\x00"...)
	}
	mpls := func(content []byte) []byte { return join([]byte("\x00\x01\x00\x40\x00\x02\x01\x40"), content) }
	authentication := append([]byte{17, 4, 0, 0}, make([]byte, 20)...)
	bigOrder := pcap{be, magicMicroseconds, 1, []pcapFrame{{e4, 0}, {e6, 0}}}
	nanos := pcap{le, magicNanoseconds, 1, []pcapFrame{{e4, 0}, {e6, 0}}}
	bigNanos := pcap{be, magicNanoseconds, 1, []pcapFrame{{e4, 0}, {e6, 0}}}
	modified := pcap{le, magicModified, 1, []pcapFrame{{e4, 0}, {e6, 0}}}
	// Fault 30: the captured length of the first record exceeds its length.
	wrong := pcap{le, magicMicroseconds, 1, []pcapFrame{{e4, len(e4) - 4}, {e6, 0}}}
	short := pcap{le, magicMicroseconds, 1, []pcapFrame{{e4[:len(e4)-4], len(e4)}, {e6, 0}}}
	return []oddFile{
		{"ethernet", file(1, e4, e6), both, Counts{}},
		{"padded ethernet", file(1, join(e4, make([]byte, 30)), join(e6, make([]byte, 6))), both, Counts{}},
		{"raw", file(101, v4, v6), both, Counts{}},
		{"raw of BSD", file(12, v4, v6), both, Counts{}},
		{"ipv4", file(228, v4), both[:1], Counts{}},
		{"ipv6", file(229, v6), both[1:], Counts{}},
		{"null", file(0, join(le.AppendUint32(nil, 2), v4), join(le.AppendUint32(nil, 24), v6)), both, Counts{}},
		{"null, other order", file(0, join(be.AppendUint32(nil, 2), v4), join(be.AppendUint32(nil, 30), v6)), both, Counts{}},
		{"loop", file(108, join(be.AppendUint32(nil, 2), v4), join(be.AppendUint32(nil, 28), v6)), both, Counts{}},
		{"cooked", file(113, join(cooked(0x0800), v4), join(cooked(0x86dd), v6)), both, Counts{}},
		{"cooked 2", file(276, join(cooked2(0x0800), v4), join(cooked2(0x86dd), v6)), both, Counts{}},
		{"cooked with a VLAN tag", file(113, join(cooked(0x8100), tagged(7, 0x0800, v4))), both[:1], Counts{}},
		{"frame check sequences", file(1|1<<26|2<<28, join(e4, []byte("fcs!"))), both[:1], Counts{}},
		{"VLAN", file(1, ethernet(0x8100, tagged(7, 0x0800, v4)), ethernet(0x8100, tagged(0, 0x86dd, v6))), both, Counts{}},
		{"QinQ", file(1, ethernet(0x88a8, tagged(7, 0x8100, tagged(8, 0x0800, v4))), ethernet(0x9100, tagged(7, 0x8100, tagged(8, 0x86dd, v6)))), both, Counts{}},
		{"MPLS", file(1, ethernet(0x8847, mpls(v4)), ethernet(0x8847, mpls(v6))), both, Counts{}},
		{"PPPoE", file(1, ethernet(0x8864, join([]byte{0x11, 0, 0, 1}, be.AppendUint16(nil, uint16(2+len(v4))), []byte{0, 0x21}, v4))), both[:1], Counts{}},
		{"SNAP", file(1, ethernet(uint16(8+len(v4)), join([]byte("\xaa\xaa\x03\x00\x00\x00\x08\x00"), v4))), both[:1], Counts{}},
		{"tunnels", file(101, ip4(4, 0, v4), ip4(41, 0, v6), ip6(4, v4), ip6(41, v6)), []string{one, two, one, two}, Counts{}},
		{"zero length", file(101, ip4(17, 0, udp("")), ip6(17, udp(""))), []string{"", ""}, Counts{}},
		{"no datagrams", file(1, ethernet(0x0806, make([]byte, 46)), ethernet(0x0800, ip4(1, 0, make([]byte, 8))), ethernet(0x86dd, ip6(59, nil)), nil, e4[:9]), nil, Counts{Other: 3, Damaged: 2}},
		{"options of IPv4", file(101, func() []byte {
			b := slices.Insert(slices.Clone(v4), 20, 1, 1, 1, 0)
			b[0], b[3] = 0x46, b[3]+4
			return b
		}()), both[:1], Counts{}},
		// Fault 30: extension headers.
		{"hop-by-hop", file(101, ip6(0, extension(17, 0, udp(one))), ip6(0, extension(17, 3, udp(two)))), both, Counts{}},
		{"destination options", file(101, ip6(60, extension(17, 0, udp(one)))), both[:1], Counts{}},
		{"routing", file(101, ip6(43, join([]byte{17, 2, 3, 0}, make([]byte, 20), udp(one)))), both[:1], Counts{}},
		{"authentication", file(101, ip6(51, join(authentication, udp(one)))), both[:1], Counts{}},
		{"three extension headers", file(101, ip6(0, extension(60, 1, extension(51, 0, udp(one))))[:40], ip6(0, extension(60, 1, extension(60, 0, extension(17, 0, udp(one)))))), both[:1], Counts{Damaged: 1}},
		{"cut extension header", file(101, ip6(0, []byte{17, 9, 0, 0, 0, 0, 0, 0})), nil, Counts{Damaged: 1}},
		{"atomic fragment", file(101, ip6(44, fragment6(17, 0, false, udp(one)))), both[:1], Counts{}},
		{"fragments", file(101, ip4(17, 0x2000, parts[:48]), v4, ip4(17, 6, parts[48:])), []string{one, long}, Counts{Fragments: 2}},
		{"fragments, reversed", file(101, ip4(17, 6, parts[48:]), ip4(17, 0x2000, parts[:48])), []string{long}, Counts{Fragments: 2}},
		{"fragments of IPv6", file(101, ip6(44, fragment6(17, 0, true, parts[:48])), v6, ip6(44, fragment6(17, 48, false, parts[48:]))),
			[]string{two, long}, Counts{Fragments: 2}},
		{"options before and in fragments", func() []byte {
			parts := extension(17, 0, udp(long))
			return file(101, ip6(0, extension(44, 0, fragment6(60, 0, true, parts[:48]))), ip6(0, extension(44, 0, fragment6(60, 48, false, parts[48:]))))
		}(), []string{long}, Counts{Fragments: 2}},
		{"a fragment is missing", file(101, ip4(17, 0x2000, parts[:48]), v4), both[:1], Counts{Fragments: 1}}, // the last one with fragments
		{"big-endian", bigOrder.bytes(), both, Counts{}},
		{"nanoseconds", nanos.bytes(), both, Counts{}},
		{"big-endian nanoseconds", bigNanos.bytes(), both, Counts{}},
		{"modified", modified.bytes(), both, Counts{}},
		{"captured length above length", wrong.bytes(), both, Counts{}},
		{"truncated frame", short.bytes(), both[1:], Counts{Damaged: 1}},
		{"pcapng", join(section(le, 1), enhanced(le, 0, len(e4), e4), enhanced(le, 0, len(e6), e6)), both, Counts{}},
		{"big-endian pcapng", join(section(be, 1), enhanced(be, 0, len(e4), e4), enhanced(be, 0, len(e6), e6)), both, Counts{}},
		{"interfaces of several types", join(section(le, 1, 101, 113), enhanced(le, 2, 16+len(v4), join(cooked(0x0800), v4)), enhanced(le, 0, len(e6), e6), enhanced(le, 1, len(v4), v4)),
			[]string{one, two, one}, Counts{}},
		{"sections", join(section(le, 1), enhanced(le, 0, len(e4), e4), section(be, 101), enhanced(be, 0, len(v6), v6)), both, Counts{}},
		{"unknown blocks", join(section(le, 1), block(le, 0x0bad, []byte("what?")), enhanced(le, 0, len(e4), e4), block(le, 5, make([]byte, 12))), both[:1], Counts{}},
		{"simple packets", join(section(le, 1), block(le, 3, append(le.AppendUint32(nil, uint32(len(e4))), e4...))), both[:1], Counts{}},
		{"pcapng, captured length above length", join(section(le, 1), enhanced(le, 0, len(e4)-4, e4), enhanced(le, 0, len(e6), e6)), both, Counts{}},
	}
}

// TestOddFiles: what is in files of each link type and format, with each oddity (fault 30).
func TestOddFiles(t *testing.T) {
	for _, f := range oddFiles() {
		path := filepath.Join(t.TempDir(), "odd")
		if err := os.WriteFile(path, f.bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		r := NewReader(path)
		var got []string
		var d Datagram
		var err error
		for err = r.Next(&d); err == nil; err = r.Next(&d) {
			got = append(got, string(d.Payload))
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", f.name, err)
		}
		counts := r.Counts
		counts.Frames, counts.Datagrams = 0, 0
		if !slices.Equal(got, f.want) || counts != f.counts || r.Counts.Datagrams != uint64(len(f.want)) {
			t.Errorf("%s: %q %+v, want %q %+v", f.name, got, r.Counts, f.want, f.counts)
		}
	}
}

// TestTsharkFindsTheSame: tshark is the judge of what is in a capture file. It starts slowly, so the frames of all plain
// files are in one file, with an interface for each.
func TestTsharkFindsTheSame(t *testing.T) {
	tooltest.Require(t, "tshark")
	all := oddFile{name: "all frames"}
	var links []uint16
	var packets []byte
	var formats []oddFile
	for _, f := range oddFiles() {
		plain := le.Uint32(f.bytes) == magicMicroseconds && le.Uint32(f.bytes[20:]) <= 0xffff
		if !plain || strings.Contains(f.name, "captured length") || strings.Contains(f.name, "truncated") {
			formats = append(formats, f)
			continue
		}
		for rest := f.bytes[24:]; len(rest) > 0; {
			n := le.Uint32(rest[8:])
			packets = append(packets, enhanced(le, uint32(len(links)), int(n), rest[16:16+n])...)
			rest = rest[16+n:]
		}
		links, all.want = append(links, uint16(le.Uint32(f.bytes[20:]))), append(all.want, f.want...)
	}
	all.bytes = append(section(le, links...), packets...)
	for _, f := range append(formats, all) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			got := tsharkPayloads(t, f.bytes)
			if f.name == "truncated frame" { // tshark shows what is left of it
				got = got[1:]
			}
			if !slices.Equal(got, f.want) {
				t.Errorf("tshark finds %q, want %q", got, f.want)
			}
		})
	}
}

// tsharkPayloads returns the payloads of the UDP datagrams that tshark finds in a file.
func tsharkPayloads(t *testing.T, file []byte) (payloads []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "odd")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "tshark", "-n", "-o", "ip.defragment:TRUE", "-o", "ipv6.defragment:TRUE",
		"-r", path, "-Y", "udp", "-T", "fields", "-e", "udp.length", "-e", "udp.payload")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=") // no personal settings
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		_, digits, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		payload, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		payloads = append(payloads, string(payload))
	}
	return payloads
}
