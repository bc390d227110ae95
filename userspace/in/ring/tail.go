package ring

import (
	"math"
	"sync"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
)

// tailShare is which part of the ring, one in so many, may wait for a Tail alone.
const tailShare = 4

// Tail reads once more what its Source has been done with, for somebody who wants to see all of it and must not hold the Source up: the
// goroutine of the Source copies nothing for it, and never waits for it. Records stay in the ring until the tail has read them, too, unless it
// lies more than a quarter of the ring behind: then all of that is given back to the kernel, and the tail has missed it. In a ring of the
// least size nothing may wait: what is free while the Source sleeps must not become less than a wake-up needs (see bpf.ValidateRingSize).
//
// Receive and Release belong to one goroutine.
type Tail struct {
	back  *giveBack
	ring  ring
	clock clock

	begin uint64 // of the batch that is lent out
	read  counts // what lies before begin, missed or not
	lent  counts // what is lent out

	using sync.Mutex // held while something is lent out
	cut   bool       // the source is closed
}

// Tail returns the one tail of s. The first call must come before the first Receive.
func (s *Source) Tail() *Tail {
	if s.back.tail != nil {
		return s.back.tail
	}
	size, least := uint64(s.buffer.MaxEntries()), uint64(bpf.LeastRingSize())
	return newTail(&s.back, s.mapping.ring(), min(size/tailShare, size-least))
}

// newTail begins where the consumer's position is. r is the same ring as that of g, for this goroutine.
func newTail(g *giveBack, r ring, most uint64) *Tail {
	g.tail, g.most = &Tail{back: g, ring: r, read: g.tally.counts}, most
	return g.tail
}

// EndTail cuts the tail off, if there is one, and gives back what it has not read: the source is done with it. It waits for a batch that is lent
// out. Receive must have ended.
func (s *Source) EndTail() { s.back.end() }

// Room is how many bytes may wait for the tail alone.
func (t *Tail) Room() int { return int(t.back.most) }

// Receive empties b and fills it with views of what the source has been done with since, up to its capacity; with nothing if there is nothing
// more, or the source is closed. It doesn't wait. missed is how many datagrams came before those of b and were gone already. If there is
// anything in b, Release must follow, and soon: Close of the source waits for it.
func (t *Tail) Receive(b *packets.Batch) (missed uint64) {
	b.Packets = b.Packets[:0]
	t.using.Lock()
	if t.cut {
		t.using.Unlock()
		return 0
	}
	missed = t.catchUp()
	t.walk(b)
	switch {
	case t.overtaken():
		// The kernel may have been writing where headers were read. The next call will know how many were missed.
		b.Packets = b.Packets[:0]
		t.ring.next = t.begin
	case len(b.Packets) == 0 && t.ring.next != t.begin: // only what was discarded
		t.settle()
	}
	if len(b.Packets) == 0 {
		t.using.Unlock()
	}
	return missed
}

// Release gives the records of b back to the kernel. It reports whether they were intact until now: else what was read of them may be
// anything, and they count as missed, but not at the next Receive.
func (t *Tail) Release(b *packets.Batch) (intact bool) {
	if len(b.Packets) == 0 {
		return true
	}
	b.Packets = b.Packets[:0]
	intact = t.settle()
	t.using.Unlock()
	return intact
}

// catchUp goes to where the ring begins, if that has been moved on, and returns how many datagrams that skips.
func (t *Tail) catchUp() (missed uint64) {
	g := t.back
	g.mu.Lock()
	defer g.mu.Unlock()
	if at := g.consumer.Load(); at > t.ring.next {
		missed = g.tally.sum() - t.read.sum()
		t.ring.next, t.read = at, g.tally.counts
	}
	t.begin = t.ring.next
	return missed
}

// walk fills b up to where the source is. An error means that the tail was overtaken, or that the source will meet it as well.
func (t *Tail) walk(b *packets.Batch) {
	t.lent = counts{}
	t.ring.end = t.back.position.Load()
	for len(b.Packets) < cap(b.Packets) {
		sample, err := t.ring.take(math.MaxUint64)
		if err != nil || sample == nil {
			return
		}
		b.Packets = b.Packets[:len(b.Packets)+1]
		d := &b.Packets[len(b.Packets)-1]
		if !view(sample, d) {
			b.Packets = b.Packets[:len(b.Packets)-1]
			continue
		}
		d.Received = t.clock.epoch(d.Received)
		t.lent.add(d.Intake)
	}
}

// overtaken reports whether what was lent out has been given back meanwhile. The lock orders what was read of it before any later move of the
// consumer's position, and so before the kernel writes there.
func (t *Tail) overtaken() bool {
	t.back.mu.Lock()
	defer t.back.mu.Unlock()
	return t.back.consumer.Load() > t.begin
}

// settle ends what was lent out: it goes back to the kernel, unless it has gone already, which it reports.
func (t *Tail) settle() (intact bool) {
	g := t.back
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, n := range t.lent {
		t.read[i] += n
	}
	if g.consumer.Load() > t.begin {
		return false
	}
	t.begin = t.ring.next
	g.move(t.begin, &t.read)
	return true
}
