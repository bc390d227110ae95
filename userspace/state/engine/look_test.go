package engine

import (
	"sync"
	"testing"
	"time"

	"binrepd/userspace/changes"
	"binrepd/userspace/wire/bin1/bin1test"
)

// patience bounds each wait for something. It is no measure of speed: it only ends a test that would hang.
const patience = time.Minute

// endsUnder runs f while locks are held, and lets go of them when it has ended, or when there is no more hope of that without.
func endsUnder(t *testing.T, what string, f, unlock func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() { f(); close(ended) }()
	select {
	case <-ended:
		unlock()
	case <-time.After(patience):
		t.Errorf("%s waits for a lock", what)
		unlock()
		<-ended
	}
}

// stalled is an Outlet that stops the worker in the middle of a batch, with a shard locked.
type stalled struct{ stopped, goOn chan struct{} }

func (s *stalled) Forward([]changes.Change) {
	s.stopped <- struct{}{}
	<-s.goOn
}

// TestLookersAndWorkersDontWait: a picture is taken without any of the locks that a worker takes, and a worker goes on while a picture is being
// taken.
func TestLookersAndWorkersDontWait(t *testing.T) {
	outlet := &stalled{stopped: make(chan struct{}), goOn: make(chan struct{})}
	r := newRig(t, 1, func(c *Config) { c.Outlet = outlet })
	r.start(t)
	proxy := bin1test.NewProxy(1, bin1test.Options{Now: testNow})
	feed := func(call uint64) {
		r.sources[0].Feed(from("192.0.2.7:5555", 0, proxy.AppendPacket(nil, call, bin1test.Create)))
	}
	feed(1)
	<-outlet.stopped
	r.origins.mu.Lock()
	r.clock.mu.Lock()
	var s Status
	endsUnder(t, "Status", func() { s = r.Status() }, func() {
		r.clock.mu.Unlock()
		r.origins.mu.Unlock()
	})
	if total := s.Total(); total.Received != 0 || len(s.Sources) != 1 { // the source is known before the table changes
		t.Errorf("in the middle of the first batch: %+v", s)
	}
	outlet.goOn <- struct{}{}
	if err := r.sources[0].WaitReleased(t.Context()); err != nil {
		t.Fatal(err)
	}
	reading, read := make(chan *tally), make(chan struct{})
	go r.workers[0].read(func(c *tally) {
		reading <- c
		<-read
	})
	c := <-reading
	endsUnder(t, "a worker", func() {
		for call := range uint64(3) {
			feed(2 + call)
			<-outlet.stopped
			outlet.goOn <- struct{}{}
			if err := r.sources[0].WaitReleased(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if c.intakes[0].Received != 1 {
			t.Errorf("what is being read has changed: %+v", c.intakes[0])
		}
	}, func() { close(read) })
	s = r.finish(t)
	if total := s.Total(); total.Received != 4 || s.Table.Live() != 4 {
		t.Errorf("at the end: %+v", s)
	}
}

// TestPublished: a reader sees whole tallies, none older than the one before, and in the end the latest.
func TestPublished(t *testing.T) {
	const rounds = 20_000
	var p published
	p.init()
	var writing sync.WaitGroup
	writing.Go(func() {
		var c tally
		for n := uint64(1); n <= rounds; n++ {
			c.intakes[0].Received, c.intakes[1].Bytes, c.batches.Sum, c.latency.Sum, c.capabilities.other = n, n, n, n, n
			p.publish(&c, 2)
		}
	})
	var reading sync.WaitGroup
	for range 2 {
		reading.Go(func() {
			for last := uint64(0); last < rounds; {
				p.read(func(c *tally) {
					n := c.latency.Sum
					if n < last || c.intakes[0].Received != n || c.intakes[1].Bytes != n || c.batches.Sum != n || c.capabilities.other != n {
						t.Errorf("%d after %d: %+v", n, last, c.intakes[:2])
						n = rounds
					}
					last = n
				})
			}
		})
	}
	writing.Wait()
	reading.Wait()
}
