package ring_test

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/ring"
)

// TestTailUnderLoad has the program fill a ring that the source empties and a tail reads. Now and then the tail is slow
// while it holds a batch, until that batch is given back to the kernel. The tail must see complete datagrams in order,
// and those that it missed must be counted. The source must get all of them and never wait.
func TestTailUnderLoad(t *testing.T) {
	const size = 600
	ringSize := max(1<<16, 2*bpf.LeastRingSize())
	p, s := open(t, ringSize, ring.Config{})
	tail := s.Tail()
	var wg sync.WaitGroup
	var taken, seen, missed, spoilt atomic.Uint64
	var ended atomic.Bool // the source
	wg.Go(func() {
		defer ended.Store(true)
		b := packets.NewBatch(16)
		for {
			if err := s.Receive(b); err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
			for _, d := range b.Packets {
				if uint64(number(d)) != taken.Load() {
					t.Errorf("the source got number %d, not %d", number(d), taken.Load())
				}
				taken.Add(1)
			}
			s.Release(b)
		}
	})
	// dawdle waits until the source has moved on by half the ring. Less than that may wait for the tail.
	dawdle := func() {
		for from := taken.Load(); taken.Load() < from+uint64(ringSize/2/size) && !ended.Load(); {
			runtime.Gosched()
		}
	}
	wg.Go(func() {
		b := packets.NewBatch(8)
		for batches := 0; ; {
			last := ended.Load() // read before the look
			missed.Add(tail.Receive(b))
			n := uint64(len(b.Packets))
			if n == 0 {
				if last {
					return
				}
				runtime.Gosched()
				continue
			}
			first := seen.Load() + missed.Load() + spoilt.Load()
			var copies [8][size]byte
			for i, d := range b.Packets {
				copy(copies[i][:], d.Payload)
			}
			if batches++; batches%5 == 0 {
				dawdle()
			}
			intact := tail.Release(b)
			if batches%5 == 1 {
				dawdle() // no batch is held, so what is given back now is missed at the next Receive
			}
			if !intact {
				spoilt.Add(n)
				continue
			}
			for i := range n {
				if got := number(packets.Packet{Payload: copies[i][:]}); uint64(got) != first+i {
					t.Errorf("the tail saw number %d, not %d", got, first+i)
					return
				}
			}
			seen.Add(n)
		}
	})
	sent := uint32(0)
	const least, most = 2_000, 2_000_000
	for ; sent < most && !t.Failed() && (sent < least || seen.Load() < 50 || missed.Load() == 0 || spoilt.Load() == 0); sent++ {
		for {
			answer, err := send(p, frame(sent, size))
			if err != nil {
				t.Fatal(err)
			}
			if answer == xdpDrop {
				break
			}
			runtime.Gosched() // the ring is full
		}
	}
	s.Stop()
	wg.Wait()
	t.Logf("sent %d, seen %d, missed %d, spoilt %d", sent, seen.Load(), missed.Load(), spoilt.Load())
	if got := seen.Load() + missed.Load() + spoilt.Load(); taken.Load() != uint64(sent) || got != uint64(sent) || sent == most {
		t.Errorf("the source took %d, the tail has an account of %d", taken.Load(), got)
	}
	if st := s.Stats(); st.Consumed != uint64(sent) || st.Fill != 0 {
		t.Errorf("%+v", st)
	}
}

// TestCloseAwaitsTail: the ring isn't unmapped while the tail holds a batch. Afterwards there is nothing more to read,
// and Close doesn't wait.
func TestCloseAwaitsTail(t *testing.T) {
	p, s := open(t, max(1<<16, 2*bpf.LeastRingSize()), ring.Config{})
	tail := s.Tail()
	for i := range uint32(20) {
		if answer, err := send(p, frame(i, 600)); err != nil || answer != xdpDrop {
			t.Fatal(answer, err)
		}
	}
	b := packets.NewBatch(100)
	if err := s.Receive(b); err != nil {
		t.Fatal(err)
	}
	s.Release(b)
	if missed := tail.Receive(b); missed != 0 || len(b.Packets) != 20 {
		t.Fatal(missed, len(b.Packets))
	}
	var released atomic.Bool
	closed := make(chan error)
	go func() {
		err := s.Close()
		if !released.Load() {
			err = errors.Join(err, errors.New("closed while the tail had a batch"))
		}
		closed <- err
	}()
	for range 100 {
		for i, d := range b.Packets { // a fault if it is unmapped
			if number(d) != uint32(i) {
				t.Fatalf("number %d is %d", i, number(d))
			}
		}
		runtime.Gosched()
	}
	released.Store(true)
	if !tail.Release(b) {
		t.Error("the batch was given back while it was held")
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if missed := tail.Receive(b); missed != 0 || len(b.Packets) != 0 {
		t.Errorf("missed %d, got %d after the end", missed, len(b.Packets))
	}
}
