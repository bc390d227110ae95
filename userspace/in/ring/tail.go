package ring

import (
	"math"
	"sync"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
)

// tailShare limits what may wait for a Tail alone to 1/tailShare of the ring.
const tailShare = 4

// Tail is a second reader of the records that its Source has finished with. It is for a reader that wants to see
// everything but must not delay the Source. The Source's goroutine copies nothing for the tail and never waits for it.
// Records stay in the ring until the tail has read them, too. If the tail falls more than a quarter of the ring behind,
// all of that is given back to the kernel, and the tail has missed it. In a ring of the smallest size nothing may wait
// for the tail: the free space while the Source sleeps must suffice for a wake-up (see bpf.ValidateRingSize).
//
// One goroutine calls Receive and Release.
type Tail struct {
	back  *giveBack
	ring  ring
	clock clock

	begin uint64 // start of the batch that is lent out
	read  counts // counts of what is before begin, missed or not
	lent  counts // counts of what is lent out

	using sync.Mutex // held while something is lent out
	cut   bool       // the source is closed
}

// Tail returns the only tail of s. The first call must come before the first Receive.
func (s *Source) Tail() *Tail {
	if s.back.tail != nil {
		return s.back.tail
	}
	size, least := uint64(s.buffer.MaxEntries()), uint64(bpf.LeastRingSize())
	return newTail(&s.back, s.mapping.ring(), min(size/tailShare, size-least))
}

// newTail makes a tail that starts at the consumer's position. r is the ring of g, for the tail's goroutine.
func newTail(g *giveBack, r ring, most uint64) *Tail {
	g.tail, g.most = &Tail{back: g, ring: r, read: g.tally.counts}, most
	return g.tail
}

// EndTail cuts the tail off, if there is one, and gives back what it has not read; the source has finished with that.
// It waits for a batch that is lent out. Receive must have ended.
func (s *Source) EndTail() { s.back.end() }

// Room is how many bytes may wait for the tail alone.
func (t *Tail) Room() int { return int(t.back.most) }

// Receive empties b and fills it, up to its capacity, with views of the records that the source has finished with in
// the meantime. b stays empty if there are none, or if the source is closed. Receive doesn't wait. missed is how many
// datagrams before those of b were already gone. If b is not empty, Release must follow soon, because Close of the
// source waits for it.
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
		// The kernel may have written to this memory while headers were read. The next call counts what was missed.
		b.Packets = b.Packets[:0]
		t.ring.next = t.begin
	case len(b.Packets) == 0 && t.ring.next != t.begin: // only discarded records
		t.settle()
	}
	if len(b.Packets) == 0 {
		t.using.Unlock()
	}
	return missed
}

// Release gives the records of b back to the kernel. It returns false if they were overwritten in the meantime. Then
// the data read from them is not reliable. These records are missed, but the next Receive doesn't count them.
func (t *Tail) Release(b *packets.Batch) (intact bool) {
	if len(b.Packets) == 0 {
		return true
	}
	b.Packets = b.Packets[:0]
	intact = t.settle()
	t.using.Unlock()
	return intact
}

// catchUp moves on to the consumer's position if that is ahead. It returns how many datagrams that skips.
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

// walk fills b up to the position of the source. It ignores an error: either the tail was overtaken, or the source will
// get the same error.
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

// overtaken reports whether the records that are lent out have been given back in the meantime. The lock orders earlier
// reads of them before any later move of the consumer's position, and so before the kernel's writes.
func (t *Tail) overtaken() bool {
	t.back.mu.Lock()
	defer t.back.mu.Unlock()
	return t.back.consumer.Load() > t.begin
}

// settle ends the loan of records and gives them back to the kernel. It returns false if they were already given back.
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
