package ring_test

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"binrepd/userspace/datagram"
	"binrepd/userspace/ring"
)

// TestTailUnderLoad has the program fill a ring that the source empties and a tail reads once more, which now and then dawdles with a batch in
// hand until that is given back behind its back. It sees whole datagrams, in order, those that it missed are counted, and the source gets
// all of them and waits for nothing.
func TestTailUnderLoad(t *testing.T) {
	const frames, size = 4_000, 600
	p, s := open(t, 1<<16, ring.Config{})
	tail := s.Tail()
	var wg sync.WaitGroup
	var taken, done atomic.Uint64 // by the source; done when it has ended
	wg.Go(func() {
		defer done.Store(1)
		b := datagram.NewBatch(16)
		for {
			if err := s.Receive(b); err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
			for _, d := range b.Datagrams {
				if uint64(number(d)) != taken.Load() {
					t.Errorf("the source got number %d, not %d", number(d), taken.Load())
				}
				taken.Add(1)
			}
			s.Release(b)
		}
	})
	var seen, missed, spoilt uint64
	wg.Go(func() {
		b := datagram.NewBatch(8)
		for batches := 0; ; {
			end := done.Load() == 1 // before the look
			missed += tail.Receive(b)
			n := uint64(len(b.Datagrams))
			if n == 0 {
				if end {
					return
				}
				runtime.Gosched()
				continue
			}
			first := seen + missed + spoilt
			var copies [8][size]byte
			for i, d := range b.Datagrams {
				copy(copies[i][:], d.Payload)
			}
			if batches++; batches%20 == 0 { // half a ring: more than what may wait for the tail
				for from := taken.Load(); taken.Load() < from+(1<<15)/size && done.Load() == 0; {
					runtime.Gosched()
				}
			}
			if !tail.Release(b) {
				spoilt += n
				continue
			}
			for i := range n {
				if got := number(datagram.Datagram{Payload: copies[i][:]}); uint64(got) != first+i {
					t.Errorf("the tail saw number %d, not %d", got, first+i)
					return
				}
			}
			seen += n
		}
	})
	for i := uint32(0); i < frames && !t.Failed(); {
		answer, err := send(p, frame(i, size))
		if err != nil {
			t.Error(err)
			break
		}
		if answer == xdpDrop {
			i++
		}
	}
	s.Stop()
	wg.Wait()
	if got := seen + missed + spoilt; taken.Load() != frames || got != frames || seen == 0 || missed == 0 || spoilt == 0 {
		t.Errorf("the source took %d; the tail saw %d, missed %d, spoilt %d", taken.Load(), seen, missed, spoilt)
	}
	if st := s.Stats(); st.Consumed != frames || st.Fill != 0 {
		t.Errorf("%+v", st)
	}
	t.Logf("seen %d, missed %d, spoilt %d", seen, missed, spoilt)
}
