package ring_test

import (
	"errors"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/ring"
)

// hammer runs consumer and producers against each other until the consumer has fallen asleep sleeps times, and fails on
// a late wake-up. The scheduler decides how often it falls asleep between frames; far less than once in a thousand
// would be a fault. A producer sends when its previous frame was received, which takes some microseconds. The consumer
// pauses about as long before it looks and falls asleep. So frames arrive at every point of that sequence.
func hammer(t *testing.T, producers, sleeps int, cfg ring.Config, tail bool) {
	p, s := open(t, max(1<<16, 2*bpf.LeastRingSize()), cfg)
	if tail {
		s.Tail() // never reads, so it holds as much of the ring as it may
	}
	received := make([]atomic.Int64, producers)
	var wg sync.WaitGroup
	wg.Go(func() {
		b := packets.NewBatch(16)
		for {
			if err := s.Receive(b); err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
			for _, d := range b.Packets {
				received[number(d)].Add(1)
			}
			s.Release(b)
			pause()
		}
	})
	var senders sync.WaitGroup
	for i := range producers {
		senders.Go(func() {
			f := frame(uint32(i), 100)
			for sent := int64(1); sent <= int64(1000*sleeps/producers) && s.Stats().Sleeps < uint64(sleeps); sent++ {
				answer, err := send(p, f)
				if err != nil || answer != xdpDrop {
					t.Errorf("answer %d, %v", answer, err)
					return
				}
				for received[i].Load() < sent {
					runtime.Gosched()
				}
			}
		})
	}
	senders.Wait()
	st := s.Stats()
	s.Stop()
	wg.Wait()
	t.Logf("%+v", st)
	if st.LateWakeups != 0 {
		t.Errorf("%d wake-ups were late", st.LateWakeups)
	}
	if st.Sleeps < uint64(sleeps) {
		t.Errorf("the consumer slept %d times in %d frames: the test hits nothing", st.Sleeps, st.Records)
	}
}

// pause takes up to about ten microseconds.
func pause() {
	var n atomic.Int64
	for range rand.IntN(2000) {
		n.Add(1)
	}
}

// TestWakeup hammers the moment at which the consumer falls asleep.
func TestWakeup(t *testing.T) {
	sleeps := 2000
	if testing.Short() {
		sleeps = 100
	}
	t.Run("one producer", func(t *testing.T) { hammer(t, 1, sleeps, ring.Config{Spin: -1, Backstop: time.Second}, false) })
	t.Run("three producers", func(t *testing.T) { hammer(t, 3, sleeps/4, ring.Config{Spin: -1, Backstop: time.Second}, false) })
	t.Run("a ring that is never empty", func(t *testing.T) { hammer(t, 3, sleeps/4, ring.Config{Spin: -1, Backstop: time.Second}, true) })
	t.Run("spinning consumer", func(t *testing.T) {
		hammer(t, 1, sleeps/4, ring.Config{Spin: time.Microsecond, Backstop: time.Second}, false)
	})
}
