package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"binrepd/userspace/wire/bin2"
	"binrepd/userspace/wire/bin2/bin2test"
)

// TestClusterCaptures compares with a second reassembly that belongs to the tests.
func TestClusterCaptures(t *testing.T) {
	for _, c := range bin2test.Captures(t) {
		r := NewReader(filepath.Join(bin2test.Folder(t), filepath.FromSlash(c.Name)+".pcap"))
		got := readAll(t, r)
		text := func(from, to netip.AddrPort, at time.Time, packet []byte) string {
			return fmt.Sprintf("%d %s %s %x", at.UnixNano(), from, to, packet)
		}
		var is, want []string
		for _, d := range got {
			is = append(is, text(d.Source, d.Destination, d.Time, d.Payload))
		}
		for _, p := range c.Packets {
			want = append(want, text(p.From, p.To, p.Time, p.Packet))
		}
		slices.Sort(is)
		slices.Sort(want)
		if !slices.Equal(is, want) || r.Counts.Packets != uint64(len(want)) || r.Counts.Gaps != 0 || r.Counts.Damaged != 0 {
			t.Errorf("%s: %d packets, want %d; %+v", c.Name, len(is), len(want), r.Counts)
		}
	}
}

// tcpPacket is a packet of generation 2 with a number in it, size bytes long.
func tcpPacket(number, size int) []byte {
	b := bytes.Repeat([]byte{'x'}, size)
	copy(b, "P4CK")
	binary.LittleEndian.PutUint32(b[4:], uint32(size))
	copy(b[8:], "\x01\x00\x04\x00test")
	binary.LittleEndian.PutUint32(b[16:], uint32(number))
	copy(b[20:], "P4CK\x20\x00\x00\x00") // a false beginning within
	return b
}

// feed gives segments to flows and returns the packets that come out.
func feed(fs *flows, list []*layers.TCP, out []Datagram) []Datagram {
	for i, s := range list {
		fs.add(from4, to4, s, time.UnixMilli(int64(begin)*1000+int64(i)))
		var d Datagram
		for fs.take(&d) {
			d.Payload = bytes.Clone(d.Payload)
			out = append(out, d)
		}
	}
	return out
}

// TestFlow: segments of any size, in disorder, repeated and overlapping, give the packets in order, past the wrap of
// sequence numbers, with and without the beginning of the connection.
func TestFlow(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for round := range 200 {
		var stream []byte
		const packets = 40
		for i := range packets {
			stream = append(stream, tcpPacket(i, 60+random.IntN(2000))...)
		}
		first := uint32(1<<32 - 10_000)
		list := []*layers.TCP{{SYN: true, Seq: first}}
		if round%2 == 0 {
			list, first = nil, first-1
		}
		for at := 0; at < len(stream); {
			n := min(1+random.IntN(1500), len(stream)-at)
			from := max(0, at-random.IntN(2)*random.IntN(300)) // overlaps
			s := &layers.TCP{Seq: first + 1 + uint32(from)}
			s.Payload = stream[from : at+n]
			list = append(list, s)
			if random.IntN(10) == 0 {
				list = append(list, s)
			}
			at += n
		}
		for i := 2; i < len(list)-1; i++ {
			if random.IntN(4) == 0 {
				list[i], list[i+1] = list[i+1], list[i]
			}
		}
		got := feed(newFlows(), list, nil)
		if len(got) != packets {
			t.Fatalf("round %d: %d packets", round, len(got))
		}
		for i, d := range got {
			if n := binary.LittleEndian.Uint32(d.Payload[16:]); int(n) != i || bin2.Packet(d.Payload).Version() != 1 || !d.TCP {
				t.Fatalf("round %d: packet %d has number %d", round, i, n)
			}
		}
	}
}

// TestFlowGap: a missing segment costs the packets that it had a part of, and no other. One connection after another
// between the same ports doesn't confuse.
func TestFlowGap(t *testing.T) {
	var stream []byte
	for i := range 30 {
		stream = append(stream, tcpPacket(i, 100)...)
	}
	var list []*layers.TCP
	for _, isn := range []uint32{5000, 100} {
		list = append(list, &layers.TCP{SYN: true, Seq: isn})
		for at := 0; at < len(stream); at += 150 {
			s := &layers.TCP{Seq: isn + 1 + uint32(at)}
			if s.Payload = stream[at : at+150]; at != 1500 { // the middle of packets 15 and 16
				list = append(list, s)
			}
		}
	}
	fs := newFlows()
	got := feed(fs, list, nil)
	fs.finish()
	var d Datagram
	for fs.take(&d) {
		got = append(got, d)
	}
	var numbers, want []int
	for _, d := range got {
		numbers = append(numbers, int(binary.LittleEndian.Uint32(d.Payload[16:])))
	}
	for range 2 {
		for i := range 30 {
			if i != 15 && i != 16 {
				want = append(want, i)
			}
		}
	}
	if !slices.Equal(numbers, want) || fs.gaps != 2 {
		t.Errorf("%v, %d gaps", numbers, fs.gaps)
	}
	// Another protocol costs no memory.
	fs = newFlows()
	s := &layers.TCP{Seq: 1}
	for range 1000 {
		s.Payload = bytes.Repeat([]byte("GET /P HTTP "), 100)
		feed(fs, []*layers.TCP{s}, nil)
		s.Seq += uint32(len(s.Payload))
	}
	if f := fs.all[endpoints{from4, to4}]; len(f.rest)-f.used > 8 || cap(f.rest) > 1<<14 {
		t.Errorf("%d bytes are kept of no packets", cap(f.rest))
	}
}

// FuzzFlow: no segments make it panic, or take unbounded memory, or give something that is no packet.
func FuzzFlow(f *testing.F) {
	f.Add(tcpPacket(1, 100), uint32(0), uint16(3), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, seq uint32, step uint16, flags uint8) {
		fs := newFlows()
		for i := 0; len(data) > 0 && i < 1000; i++ {
			n := min(int(step)+1, len(data))
			s := &layers.TCP{Seq: seq + uint32(i*int(flags)), SYN: flags&1 != 0 && i%7 == 0, FIN: flags&2 != 0 && i%5 == 0}
			s.Payload = data[:n]
			data = data[n:]
			for _, d := range feed(fs, []*layers.TCP{s}, nil) {
				if _, err := bin2.Next(d.Payload); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, fl := range fs.all {
			if fl.held > maxWaiting || len(fl.rest)-fl.used > bin2.MaxSize+1<<16 {
				t.Fatalf("%d bytes wait, %d are kept", fl.held, len(fl.rest))
			}
		}
	})
}
