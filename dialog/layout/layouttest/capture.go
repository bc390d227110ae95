package layouttest

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
)

// Packet is one packet of generation 2 out of a capture. Its bytes are views of the stream.
type Packet struct {
	Capability string
	Version    int16
	Type       int32
	Body       []byte // fields, without the trailer
	Trailer    []byte // cluster, source and destination; nil for clusterer-internal
	From       string // address and port of the sender on its connection
	Frame      int    // number of the frame of the capture in which its last byte came
}

// Source returns the node that the packet comes from, 0 if it doesn't tell.
func (p *Packet) Source() uint32 {
	if len(p.Trailer) < 12 {
		return 0
	}
	return binary.LittleEndian.Uint32(p.Trailer[4:])
}

// TB is the part of testing.TB that this package needs.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// requireEnv is the environment variable that turns a skip for lack of captures into a failure when it is "1".
const requireEnv = "BINREPD_REQUIRE_CAPTURES"

// Captures returns the files in ../shared/captures beside the repository that match the pattern. Without any, the
// test is skipped.
func Captures(t TB, pattern string) []string {
	t.Helper()
	dir, err := filepath.Abs(".")
	for err == nil {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			err = fmt.Errorf("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	var files []string
	if err == nil {
		files, err = filepath.Glob(filepath.Join(dir, "..", "shared", "captures", pattern))
	}
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("nothing matches %s", pattern)
	}
	switch {
	case err == nil:
	case os.Getenv(requireEnv) == "1":
		t.Fatalf("needs captures of real proxies, and %s=1 forbids to skip: %v", requireEnv, err)
	default:
		t.Skipf("SKIPPED, needs captures of real proxies in ../shared/captures beside the repository: %v (%s=1 makes this a failure)", err, requireEnv)
	}
	return files
}

// frames calls each with every IPv4 packet of a capture, from its IP header on, and the number of its frame.
func frames(file string, each func(number int, ip []byte)) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if len(b) < 24 || binary.LittleEndian.Uint32(b) != 0xa1b2c3d4 && binary.LittleEndian.Uint32(b) != 0xa1b23c4d {
		return fmt.Errorf("%s: not a little-endian pcap file", file)
	}
	b = b[24:]
	for number := 1; len(b) >= 16; number++ {
		n := int(binary.LittleEndian.Uint32(b[8:]))
		if n > len(b)-16 {
			return fmt.Errorf("%s: a record is cut short", file)
		}
		if f := b[16 : 16+n]; n >= 34 && f[12] == 8 && f[13] == 0 && f[14]>>4 == 4 {
			if total := int(binary.BigEndian.Uint16(f[16:])); total >= 20 && total <= n-14 {
				each(number, f[14:14+total])
			}
		}
		b = b[16+n:]
	}
	return nil
}

// Datagrams returns the UDP payloads of a capture, put together from their IP fragments.
func Datagrams(file string) ([][]byte, error) {
	type key [10]byte // addresses and identification
	type parts struct {
		data map[int][]byte
		end  int
	}
	var out [][]byte
	open := map[key]*parts{}
	err := frames(file, func(_ int, ip []byte) {
		if ip[9] != 17 {
			return
		}
		var k key
		copy(k[:8], ip[12:20])
		copy(k[8:], ip[4:6])
		p := open[k]
		if p == nil {
			p = &parts{data: map[int][]byte{}, end: -1}
			open[k] = p
		}
		head := int(ip[0]&15) * 4
		fragment := binary.BigEndian.Uint16(ip[6:])
		from := int(fragment&0x1fff) * 8
		p.data[from] = ip[head:]
		if fragment&0x2000 == 0 {
			p.end = from + len(ip) - head
		}
		whole := []byte{}
		for len(p.data[len(whole)]) > 0 {
			whole = append(whole, p.data[len(whole)]...)
		}
		if len(whole) == p.end && len(whole) >= 8 {
			out = append(out, whole[8:])
			delete(open, k)
		}
	})
	return out, err
}

// segment is a piece of a TCP stream.
type segment struct {
	offset int64
	data   []byte
	frame  int
}

// stream is one direction of a connection. Its order number is that of its first frame.
type stream struct {
	from     string
	first    uint32 // sequence number of offset 0
	last     int64  // offset of the last segment, to unwrap sequence numbers
	segments []segment
}

// Packets returns the packets of a capture of generation 2 on the TCP port, in the order in which they were complete.
func Packets(file string, port uint16) ([]Packet, error) {
	streams := map[string]*stream{}
	var order []*stream
	err := frames(file, func(number int, ip []byte) {
		head := int(ip[0]&15) * 4
		if ip[9] != 6 || len(ip) < head+20 {
			return
		}
		tcp := ip[head:]
		if binary.BigEndian.Uint16(tcp) != port && binary.BigEndian.Uint16(tcp[2:]) != port {
			return
		}
		seq, syn := binary.BigEndian.Uint32(tcp[4:]), tcp[13]&2 != 0
		key := string(ip[12:20]) + string(tcp[:4])
		s := streams[key]
		if s == nil || syn && s.first != seq+1 {
			s = &stream{from: fmt.Sprintf("%d.%d.%d.%d:%d", ip[12], ip[13], ip[14], ip[15], binary.BigEndian.Uint16(tcp)), first: seq}
			if syn {
				s.first++
			}
			streams[key] = s
			order = append(order, s)
		}
		data := tcp[int(tcp[12]>>4)*4:]
		if syn || len(data) == 0 {
			return
		}
		s.last += int64(int32(seq - s.first - uint32(s.last&math.MaxUint32)))
		s.segments = append(s.segments, segment{s.last, data, number})
	})
	if err != nil {
		return nil, err
	}
	var out []Packet
	for _, s := range order {
		got, err := s.packets()
		if err != nil {
			return nil, fmt.Errorf("%s: stream from %s: %w", file, s.from, err)
		}
		out = append(out, got...)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Frame < out[j].Frame })
	return out, nil
}

// packets cuts a stream. What a capture doesn't hold to its end is left out.
func (s *stream) packets() (out []Packet, err error) {
	sort.SliceStable(s.segments, func(i, j int) bool { return s.segments[i].offset < s.segments[j].offset })
	var b []byte
	type mark struct{ end, frame int }
	var marks []mark
	for _, g := range s.segments {
		have := int64(len(b))
		if g.offset > have {
			return nil, fmt.Errorf("gap at byte %d", have)
		}
		if skip := have - g.offset; skip < int64(len(g.data)) {
			b = append(b, g.data[skip:]...)
			marks = append(marks, mark{len(b), g.frame})
		}
	}
	for whole := len(b); len(b) >= 17; {
		size := int(binary.LittleEndian.Uint32(b[4:]))
		if string(b[:4]) != "P4CK" || size < 17 || size > 65535 {
			return nil, fmt.Errorf("bad packet head % x", b[:8])
		}
		if size > len(b) {
			break
		}
		p, err := NewPacket(b[:size:size])
		if err != nil {
			return nil, err
		}
		for whole-len(b)+size > marks[0].end {
			marks = marks[1:]
		}
		p.From, p.Frame = s.from, marks[0].frame
		out, b = append(out, p), b[size:]
	}
	return out, nil
}

// NewPacket takes a packet of generation 2 apart.
func NewPacket(b []byte) (Packet, error) {
	if len(b) < 17 {
		return Packet{}, fmt.Errorf("packet of %d bytes", len(b))
	}
	n := 12 + int(binary.LittleEndian.Uint16(b[10:]))
	if n+4 > len(b) {
		return Packet{}, fmt.Errorf("capability of %d bytes past the end", n-12)
	}
	p := Packet{
		Version: int16(binary.LittleEndian.Uint16(b[8:])), Capability: string(b[12:n]),
		Type: int32(binary.LittleEndian.Uint32(b[n:])), Body: b[n+4:],
	}
	if p.Capability != "clusterer-internal" {
		cut := len(p.Body) - 12
		if cut < 0 {
			return Packet{}, fmt.Errorf("packet of %s without a trailer", p.Capability)
		}
		p.Trailer, p.Body = p.Body[cut:], p.Body[:cut:cut]
	}
	return p, nil
}
