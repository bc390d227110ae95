package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// bin2Packet is something with the marker and the length of a packet of generation 2, size bytes long.
func bin2Packet(size int, fill byte) []byte {
	b := bytes.Repeat([]byte{fill}, size)
	copy(b, "P4CK")
	binary.LittleEndian.PutUint32(b[4:], uint32(size))
	return b
}

// segment is a TCP segment in a recording.
type segment struct {
	layers.TCP
	from, to netip.Addr
	at       int64
	on       string // the name of the interface
}

// readSegments reads the TCP segments of all files in dir, and checks every checksum.
func readSegments(t *testing.T, dir string) (list []segment) {
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
		defer f.Close()
		r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		for {
			data, ci, err := r.ReadPacketData()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.Default)
			if p.ErrorLayer() != nil {
				t.Fatal(p.ErrorLayer().Error())
			}
			tcp, ok := p.TransportLayer().(*layers.TCP)
			if !ok {
				continue
			}
			if err := tcp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
			if err, mistakes := p.VerifyChecksums(); err != nil || len(mistakes) > 0 {
				t.Errorf("checksums: %v %+v", err, mistakes)
			}
			in, err := r.Interface(ci.InterfaceIndex)
			if err != nil {
				t.Fatal(err)
			}
			flow := p.NetworkLayer().NetworkFlow()
			from, _ := netip.AddrFromSlice(flow.Src().Raw())
			to, _ := netip.AddrFromSlice(flow.Dst().Raw())
			list = append(list, segment{*tcp, from, to, ci.Timestamp.UnixNano(), in.Name})
		}
	}
	return list
}

// TestConnections: packets of connections come back in order, as the bytes of TCP, also those that are longer than a
// segment, and each with its addresses and its time.
func TestConnections(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, func(c *Config) { c.Streams = []string{"cluster 1", "cluster 2"} })
	const begin = 1_763_900_000_123_456_789
	a := r.Connections().Begin(0, source4, listen4, false, begin)
	b := r.Connections().Begin(1, source6, listen6, true, begin+1)
	short, long := bin2Packet(17, 's'), bin2Packet(65535, 'l')
	a.Record(append(bytes.Clone(short), long...), begin+2)
	b.Record(long, begin+3)
	b.Record(append(bytes.Clone(short), "no packet"...), begin+4)
	a.End(begin + 5)
	closeRecorder(t, r)
	if s := r.Status(); s.Recorded != 4 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}

	got := readSegments(t, dir)
	streams := map[string][]byte{}
	next := map[string]uint32{}
	for i, s := range got {
		if s.SYN {
			if want := s.on == "cluster 2"; s.ACK != want {
				t.Errorf("segment %d: SYN of %s with ACK %t", i, s.on, s.ACK)
			}
			next[s.on] = s.Seq + 1
			continue
		}
		if s.Seq != next[s.on] {
			t.Errorf("segment %d: number %d, want %d", i, s.Seq, next[s.on])
		}
		next[s.on] += uint32(len(s.Payload))
		streams[s.on] = append(streams[s.on], s.Payload...)
		from, to := source4, listen4
		if s.on == "cluster 2" {
			from, to = source6, listen6
		}
		if s.from != from.Addr() || s.to != to.Addr() || uint16(s.SrcPort) != from.Port() || uint16(s.DstPort) != to.Port() {
			t.Errorf("segment %d: %s:%d to %s:%d", i, s.from, s.SrcPort, s.to, s.DstPort)
		}
	}
	if want := append(bytes.Clone(short), long...); !bytes.Equal(streams["cluster 1"], want) {
		t.Errorf("cluster 1: %d bytes, want %d", len(streams["cluster 1"]), len(want))
	}
	if want := append(bytes.Clone(long), append(bytes.Clone(short), "no packet"...)...); !bytes.Equal(streams["cluster 2"], want) {
		t.Errorf("cluster 2: %d bytes, want %d", len(streams["cluster 2"]), len(want))
	}
	if last := got[len(got)-1]; !last.FIN || last.at != begin+5 {
		t.Errorf("the last segment: FIN %t, at %d", last.FIN, last.at)
	}
}

// TestConnectionsAccount: what several connections bring at the same time is recorded or counted as missed, and what is
// missing leaves a gap in the sequence numbers. What comes after Close is counted, too.
func TestConnectionsAccount(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, func(c *Config) { c.Streams, c.Limit = []string{"cluster 1"}, 1<<30 })
	const connections, rounds, each = 4, 300, 50
	one := bin2Packet(650, 'x')
	many := bytes.Repeat(one, each)
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() {
			remote := netip.AddrPortFrom(source4.Addr(), uint16(4000+i))
			c := r.Connections().Begin(0, remote, listen4, false, 1)
			for n := range rounds {
				c.Record(many, int64(n+2))
			}
			c.End(rounds + 2)
		})
	}
	wg.Wait()
	late := r.Connections().Begin(0, source4, listen4, false, 1)
	closeRecorder(t, r)
	late.Record(many, 1)
	late.End(2)
	s := r.Status()
	missed := uint64(0)
	for _, n := range s.Dropped {
		missed += n
	}
	if all := uint64((connections*rounds + 1) * each); s.Recorded+missed+s.Waiting != all || s.Waiting != 0 || s.Dropped["at_stop"] != each {
		t.Errorf("%d recorded, missed %v, %d waiting, of %d", s.Recorded, s.Dropped, s.Waiting, all)
	}
	found := uint64(0)
	for _, seg := range readSegments(t, dir) {
		if len(seg.Payload) == 0 {
			continue
		}
		found++
		if at := (seg.Seq - 2) % 650; at != 0 {
			t.Fatalf("a packet at %d of the stream", seg.Seq)
		}
	}
	if found != s.Recorded {
		t.Errorf("%d packets in the files, %d recorded", found, s.Recorded)
	}
	t.Logf("%d recorded, missed %v", s.Recorded, s.Dropped)
}

// TestConnectionDoesNotAllocate covers what a reader of a connection does.
func TestConnectionDoesNotAllocate(t *testing.T) {
	var failing atomic.Bool
	tap := newTap([]blockTemplate{newBlockTemplate(0, listen4)}, make([]byte, 64*chunkSize), &failing)
	all := &Connections{tap: tap}
	c4, c6 := all.Begin(0, source4, listen4, false, 1), all.Begin(0, source6, listen6, false, 1)
	many := bytes.Repeat(bin2Packet(650, 'x'), 32)
	if n := testing.AllocsPerRun(1000, func() {
		c4.Record(many, 1)
		c6.Record(many, 1)
		for b, n := tap.pending(); b != nil && tap.drained < 100; b, n = tap.pending() {
			tap.take(b, n)
		}
	}); n > 0 {
		t.Errorf("%v allocations a batch", n)
	}
	if tap.drained < 100 || tap.drops[slowDisk].Load() == 0 {
		t.Errorf("%d chunks, %d packets dropped: not every case was tested", tap.drained, tap.drops[slowDisk].Load())
	}
}

// FuzzConnection: no bytes of a peer make recording panic, and the sequence numbers count all of them.
func FuzzConnection(f *testing.F) {
	f.Add(bin2Packet(17, 1))
	f.Add([]byte("P4CK\x00\x00\x00\x00more"))
	f.Add(append(bin2Packet(70000, 1), "P4CK\xff\xff\xff\xff"...))
	f.Fuzz(func(t *testing.T, data []byte) {
		var failing atomic.Bool
		tap := newTap(nil, make([]byte, 4*chunkSize), &failing)
		c := (&Connections{tap: tap}).Begin(0, source6, listen6, false, 1)
		if len(data) > 1<<20 {
			return
		}
		c.Record(data, 1)
		if c.seq != 2+uint32(len(data)) {
			t.Errorf("%d bytes of %d", c.seq-2, len(data))
		}
		for b, n := tap.pending(); b != nil; b, n = tap.pending() {
			completeChecksums(b)
			tap.take(b, n)
		}
	})
}
