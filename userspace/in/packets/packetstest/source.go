package packetstest

import (
	"context"
	"net"
	"sync"

	"binrepd/userspace/in/packets"
)

// Poison is what Release overwrites payloads with. Code that keeps a view longer than it may reads this.
const Poison = 0xdb

// Source is a packets.Source that delivers what Feed gave it. Every payload that it hands out is a copy of
// its own, overwritten with Poison at Release and never used again, so that use after release shows.
//
// It panics where its user breaks the contract: Receive before the last batch was released, Release of
// a batch that is not out, Close while a Receive runs. Feed, Stop, Fail and the counters may be called
// from any goroutine.
type Source struct {
	mu        sync.Mutex
	changed   chan struct{} // closed and made anew at each change of what is below
	queue     []packets.Packet
	fail      error // what Receive returns when the queue is empty
	out       *packets.Batch
	lent      [][]byte // the payloads of out, even if its user cut the batch short
	receiving bool
	closed    bool
	fed       int
	released  int
	batches   int
}

// NewSource returns a source that has nothing yet.
func NewSource() *Source {
	return &Source{changed: make(chan struct{})}
}

// Feed appends packets to what the source has, copying their payloads. It never blocks. After Stop, Fail or Close it
// takes nothing and returns false.
func (s *Source) Feed(ds ...packets.Packet) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil || s.closed {
		return false
	}
	for _, d := range ds {
		d.Payload = append([]byte(nil), d.Payload...)
		s.queue = append(s.queue, d)
	}
	s.fed += len(ds)
	s.notifyLocked()
	return true
}

// Receive implements packets.Source.
func (s *Source) Receive(b *packets.Batch) error {
	b.Packets = b.Packets[:0]
	if cap(b.Packets) == 0 {
		panic("packetstest: Receive with a batch that has no room")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		panic("packetstest: Receive after Close")
	case s.receiving:
		panic("packetstest: two Receives at a time")
	case s.out != nil:
		panic("packetstest: Receive before the last batch was released")
	}
	s.receiving = true
	defer func() { s.receiving = false }()
	for len(s.queue) == 0 {
		if s.fail != nil {
			return s.fail
		}
		changed := s.changed
		s.mu.Unlock()
		<-changed
		s.mu.Lock()
	}
	n := min(len(s.queue), cap(b.Packets))
	b.Packets = append(b.Packets, s.queue[:n]...)
	s.lent = s.lent[:0]
	for _, d := range s.queue[:n] {
		s.lent = append(s.lent, d.Payload)
	}
	clear(s.queue[:n])
	s.queue = s.queue[n:]
	s.out = b
	s.batches++
	return nil
}

// Release implements packets.Source.
func (s *Source) Release(b *packets.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil || s.out != b {
		panic("packetstest: Release of a batch that is not out")
	}
	for _, payload := range s.lent {
		for i := range payload {
			payload[i] = Poison
		}
	}
	s.released += len(s.lent)
	clear(s.lent)
	s.lent, s.out = s.lent[:0], nil
	clear(b.Packets)
	b.Packets = b.Packets[:0]
	s.notifyLocked()
}

// Stop implements packets.Source.
func (s *Source) Stop() { s.Fail(net.ErrClosed) }

// Fail makes Receive return err after what had arrived. The first of Stop and Fail decides.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		s.fail = err
		s.notifyLocked()
	}
}

// Close implements packets.Source.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.receiving {
		panic("packetstest: Close while Receive runs")
	}
	s.closed = true
	return nil
}

// WaitReleased waits until everything that was fed has been released, that is, until the user of the source
// is done with it. It returns the context's error if that ends first.
func (s *Source) WaitReleased(ctx context.Context) error {
	for {
		s.mu.Lock()
		done, changed := s.released == s.fed, s.changed
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Released returns how many packets have been released, in how many batches they were received, and whether
// Close has been called.
func (s *Source) Released() (n, batches int, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.released, s.batches, s.closed
}

func (s *Source) notifyLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}
