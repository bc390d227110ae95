package bpf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf/ringbuf"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/userspace/in/packets"
)

// steering is the steering key of all tests here.
var steering = packets.Steering{K0: 0x0706050403020100, K1: 0x0f0e0d0c0b0a0908}

// load loads the program with the smallest rings and closes it with the test.
func load(t testing.TB, cfg bpf.Config) *bpf.Program {
	t.Helper()
	bpftest.RequireKernel(t)
	if cfg.RingSize == 0 {
		cfg.RingSize = 1 << 20
	}
	if cfg.Rings == 0 {
		cfg.Rings = 4
	}
	cfg.K0, cfg.K1 = steering.K0, steering.K1
	p, err := bpf.Load(cfg)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// record is a decoded ring sample.
type record struct {
	ring     int
	received int64
	hash     uint32
	source   netip.AddrPort
	listener uint8
	payload  []byte
}

// drain reads what is in the rings. It uses the library's reader, not package ring.
type drain struct {
	t       testing.TB
	readers []*ringbuf.Reader
}

func newDrain(t testing.TB, p *bpf.Program) *drain {
	d := &drain{t: t}
	for _, m := range p.Rings() {
		r, err := ringbuf.NewReader(m)
		if err != nil {
			t.Fatal(err)
		}
		r.SetDeadline(time.Unix(1, 0)) // do not wait: return what is there
		t.Cleanup(func() { _ = r.Close() })
		d.readers = append(d.readers, r)
	}
	return d
}

func (d *drain) records() []record {
	d.t.Helper()
	var records []record
	for i, r := range d.readers {
		for {
			sample, err := r.Read()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				d.t.Fatal(err)
			}
			records = append(records, takeApart(i, sample.RawSample))
		}
	}
	return records
}

func takeApart(ring int, b []byte) record {
	le := binary.LittleEndian
	length := le.Uint32(b[bpf.RecordLength:])
	addr := netip.AddrFrom16([16]byte(b[bpf.RecordAddr:])).Unmap()
	return record{
		ring:     ring,
		received: int64(le.Uint64(b[bpf.RecordReceived:])),
		hash:     le.Uint32(b[bpf.RecordHash:]),
		source:   netip.AddrPortFrom(addr, le.Uint16(b[bpf.RecordPort:])),
		listener: b[bpf.RecordListener],
		payload:  b[bpf.RecordHeader:][:length],
	}
}

// Return codes of XDP programs.
const (
	xdpDrop = 1
	xdpPass = 2
)

// TestCaptures runs the program on every frame that real senders sent.
func TestCaptures(t *testing.T) {
	for _, name := range bpftest.Captures() {
		t.Run(name, func(t *testing.T) {
			frames := bpftest.Capture(t, name)
			p := load(t, bpf.Config{Listeners: []netip.AddrPort{
				netip.MustParseAddrPort("192.0.2.1:5556"), netip.MustParseAddrPort("10.99.0.2:5556"),
			}})
			rings := newDrain(t, p)
			var before bpf.Counters
			steered := 0
			for i, frame := range frames {
				answer, _, err := p.XDP().Test(frame)
				if err != nil {
					t.Fatalf("frame %d: %v", i, err)
				}
				now, err := p.Counters()
				if err != nil {
					t.Fatal(err)
				}
				verdict := difference(t, before, now)
				before = now
				records := rings.records()

				// All frames of the captures have these fixed offsets.
				ip, udp := frame[14:34], frame[34:]
				if flags := binary.BigEndian.Uint16(ip[6:]); flags&0x3fff != 0 {
					if answer != xdpPass || verdict != bpf.Fragment || len(records) != 0 {
						t.Errorf("frame %d, a fragment: answer %d, %s, %d records", i, answer, verdict, len(records))
					}
					continue
				}
				if answer != xdpDrop || verdict != bpf.Steered || len(records) != 1 {
					t.Fatalf("frame %d: answer %d, %s, %d records", i, answer, verdict, len(records))
				}
				steered++
				r, payload := records[0], udp[8:binary.BigEndian.Uint16(udp[4:])]
				if !bytes.Equal(r.payload, payload) {
					t.Errorf("frame %d: payload\n%x, want\n%x", i, r.payload, payload)
				}
				want := steering.Hash(payload, packets.EndpointOf(r.source))
				if r.hash != want || r.ring != packets.Spread(want, 4) {
					t.Errorf("frame %d: hash %#x in ring %d, want %#x in %d", i, r.hash, r.ring, want, packets.Spread(want, 4))
				}
				if r.source.String() != "10.99.0.1:5555" || r.listener != 1 {
					t.Errorf("frame %d: from %s to listener %d", i, r.source, r.listener)
				}
			}
			if before.Unknown.Sum()+before.Listeners[0].Sum()+before.Listeners[1].Sum() != uint64(len(frames)) {
				t.Errorf("verdicts add up to something else than %d frames: %v", len(frames), before)
			}
			if steered == 0 || steered == len(frames) {
				t.Errorf("%d of %d frames steered: the capture should have both kinds", steered, len(frames))
			}
			t.Logf("%d frames, %d steered", len(frames), steered)
		})
	}
}

// difference returns the only verdict whose count has grown, by one, from before to now.
func difference(t fataler, before, now bpf.Counters) bpf.Verdict {
	t.Helper()
	b, n := before.Total(), now.Total()
	if n.Sum() != b.Sum()+1 {
		t.Fatalf("one frame made the verdicts grow from %v to %v", b, n)
	}
	for v := range n {
		if n[v] != b[v] {
			return bpf.Verdict(v)
		}
	}
	panic("unreachable")
}
