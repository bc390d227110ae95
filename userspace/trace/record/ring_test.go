package record

import (
	"context"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/ring"
)

// TestHungDiskAndRing: while a write hangs, Close gives up, and the ring of the recorder can be closed, with unread
// records. When the disk answers, the recorder ends, and everything that it had borrowed is accounted for.
func TestHungDiskAndRing(t *testing.T) {
	bpftest.RequireKernel(t)
	size := max(1<<18, 2*bpf.LeastRingSize())
	p, err := bpf.Load(bpf.Config{Rings: 1, RingSize: size, K0: 1, K1: 2, Listeners: []netip.AddrPort{listen4}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s, err := ring.Open(p, 0, ring.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hung, gate := make(chan struct{}, 1000), make(chan struct{})
	d := &disk{gate: gate}
	dir := t.TempDir()
	r := open(t, dir, func(c *Config) {
		c.Taps, c.Trails = 0, []Trail{s.Tail()}
		c.create = func(path string) (file, error) {
			hung <- struct{}{}
			return d.create(path)
		}
	})
	b := packets.NewBatch(64)
	pass := func(n int) {
		for range n {
			frame := bpftest.Frame{From: source4, To: listen4, Payload: append([]byte("P4CK"), make([]byte, 600)...)}.Bytes()
			if answer, err := p.XDP().Run(&ebpf.RunOptions{Data: frame}); err != nil || answer != 1 {
				t.Fatal(answer, err)
			}
			if err := s.Receive(b); err != nil {
				t.Fatal(err)
			}
			s.Release(b)
		}
	}
	pass(10)
	<-hung // or is about to
	pass(30)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Close(over); err == nil {
		t.Fatal("Close didn't wait for the disk")
	}
	if err := s.Close(); err != nil { // must return, and unmaps
		t.Fatal(err)
	}
	close(gate)
	d.set(nil, nil)
	closeRecorder(t, r)
	st := r.Status()
	if n := len(readFiles(t, dir)); n == 0 || uint64(n) != st.Recorded || st.shown() > 40 {
		t.Errorf("%d packets, %+v", n, st)
	}
}
