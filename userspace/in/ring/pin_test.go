package ring_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/ring"
)

// process is the kernel objects that one process has open.
type process struct {
	t       *testing.T
	pin     *bpf.Pin
	program *bpf.Program
	source  *ring.Source
}

func begin(t *testing.T, dir string) *process {
	t.Helper()
	cfg := bpf.Config{
		Rings: 1, RingSize: 1 << 16, K0: 1, K1: 2,
		Listeners: []netip.AddrPort{netip.MustParseAddrPort("10.99.0.9:5556"), netip.MustParseAddrPort("10.99.0.2:5556")},
	}
	pin, err := bpf.OpenPin(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Pin = pin
	p := &process{t: t, pin: pin}
	if p.program, err = bpf.Load(cfg); err != nil {
		t.Fatalf("%+v", errors.Join(err, pin.Close()))
	}
	if err := p.program.Commit(); err != nil {
		t.Fatal(errors.Join(err, p.program.Close(), pin.Close()))
	}
	if p.source, err = ring.Open(p.program, 0, ring.Config{}); err != nil {
		t.Fatal(errors.Join(err, p.program.Close(), pin.Close()))
	}
	t.Cleanup(p.end)
	return p
}

// end does what the kernel does when a process dies: it closes what was open.
func (p *process) end() {
	if err := errors.Join(p.source.Close(), p.program.Close(), p.pin.Close()); err != nil {
		p.t.Error(err)
	}
}

func (p *process) steered() uint64 {
	p.t.Helper()
	c, err := p.program.Counters()
	if err != nil {
		p.t.Fatal(err)
	}
	return c.Listeners[1][bpf.Steered]
}

// TestOutlives reads the records of a ring in several processes, one after the other. Some of them die while they hold
// a batch. The next one starts with that batch. Every record is delivered, and the counters of each process are what it
// has read and has still to read.
func TestOutlives(t *testing.T) {
	dir := bpftest.FileSystem(t) + "/pins"
	sent, released := uint32(0), uint32(0)
	for round := range 6 {
		p := begin(t, dir)
		if p.pin.Adopted() != (round > 0) || p.pin.Reason() != "" {
			t.Fatalf("round %d: adopted %v, %q", round, p.pin.Adopted(), p.pin.Reason())
		}
		waiting := sent - released
		if st := p.source.Stats(); uint64(waiting) != p.steered() || (st.Inherited > 0) != (waiting > 0) || st.Consumed != uint64(released) {
			t.Errorf("round %d: %d wait, %d are counted, %+v", round, waiting, p.steered(), st)
		}
		for range 10 { // more than are read
			if answer, err := send(p.program, frame(sent, 100)); err != nil || answer != xdpDrop {
				t.Fatal(answer, err)
			}
			sent++
		}
		if got, want := p.steered(), uint64(sent-released); got != want {
			t.Errorf("round %d: %d are counted, want %d", round, got, want)
		}
		b := packets.NewBatch(3)
		for range 2 + round%2 {
			if err := p.source.Receive(b); err != nil {
				t.Fatal(err)
			}
			for i, d := range b.Packets {
				if number(d) != released+uint32(i) || d.Intake != 1 {
					t.Fatalf("round %d: number %d of listener %d, want %d", round, number(d), d.Intake, released+uint32(i))
				}
			}
			released += uint32(len(b.Packets))
			p.source.Release(b)
		}
		if got := p.source.Stats().Consumed; got != uint64(released) {
			t.Errorf("round %d: %d consumed, want %d", round, got, released)
		}
		if round%3 != 0 { // dies while it holds a batch
			if err := p.source.Receive(b); err != nil {
				t.Fatal(err)
			}
		}
		at := time.Unix(int64(round), 5)
		if err := p.pin.Mark(round, at, uint64(released), uint64(2*released)); err != nil {
			t.Error(err)
		}
		p.end()
		p = begin(t, dir)
		for back := range 3 {
			n, overflows, ok := p.pin.Marked(time.Unix(int64(round-back), 5))
			if ok != (back < 2 && back <= round) || back == 0 && (n != uint64(released) || overflows != uint64(2*released)) {
				t.Errorf("round %d: mark of %d back: %d, %d, %v", round, back, n, overflows, ok)
			}
		}
		p.end()
	}
	if sent == released {
		t.Error("nothing ever waited")
	}
}
