package engine

import (
	"sync/atomic"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/arrival"
)

// senderCounts is what one worker counts of one source. The worker is the only writer.
type senderCounts struct {
	events, rejected        atomic.Uint64
	applied, created, ended atomic.Uint64
	last                    atomic.Int64  // receive time of the last good packet, ns since the epoch
	plain, digest           atomic.Uint64 // an arrival.Count
	skew                    skew
}

func newSenderCounts() *senderCounts {
	c := new(senderCounts)
	c.skew.init()
	return c
}

// senderSlots is the size of a worker's cache of source numbers; a power of two, enough for every proxy of a large
// site without collisions that matter.
const senderSlots = 256

// senders is a worker's own view of the register: a small cache in front of it, and counts by number. A worker counts in plain memory and
// publishes the sums at the end of a batch. An atomic store would wait for all stores before it, which go to dialogs that no cache
// holds.
type senders struct {
	origins    *origins
	generation uint64 // of the register, that the cache belongs to
	cache      [senderSlots]struct {
		from   packets.Sender
		origin uint16
		valid  bool
	}
	counts [MaxOrigins]atomic.Pointer[senderCounts]

	batch   [MaxOrigins]batchCounts // what the batch under way has brought
	touched []uint16                // the origins that are in it
}

// batchCounts is what one batch has brought of one source.
type batchCounts struct {
	touched                 bool
	events                  uint32
	applied, created, ended uint32
	last                    int64
	skew                    int64 // noSkew: no creation
	plain                   arrival.Count
}

func (s *senders) init(o *origins) {
	s.origins = o
	s.touched = make([]uint16, 0, MaxOrigins)
	for i := range s.counts[:1] {
		s.counts[i].Store(newSenderCounts())
	}
	for i := range s.batch {
		s.batch[i].skew = noSkew
	}
}

// refresh is called at the begin of a batch. It empties the cache if numbers in it may be wrong.
func (s *senders) refresh() {
	if g := s.origins.generation.Load(); g != s.generation {
		s.generation = g
		clear(s.cache[:])
	}
}

// origin returns the number of a sender, of which a packet was received at that time.
func (s *senders) origin(from *packets.Sender, received int64) uint16 {
	slot := &s.cache[(uint32(from.Addr[15])^uint32(from.Addr[14])<<4^uint32(from.Addr[13])<<2^uint32(from.Port)*31^from.Node)%senderSlots]
	if slot.valid && slot.from == *from {
		return slot.origin
	}
	n := s.origins.number(*from, received, false)
	if s.counts[n].Load() == nil {
		s.counts[n].Store(newSenderCounts())
	}
	slot.from, slot.origin, slot.valid = *from, n, true
	return n
}

// of returns what the batch has brought of a source so far.
func (s *senders) of(origin uint16) *batchCounts {
	b := &s.batch[origin%MaxOrigins]
	if !b.touched {
		b.touched = true
		s.touched = append(s.touched, origin)
	}
	return b
}

// good counts one good packet of a source.
func (s *senders) good(origin uint16, received int64) {
	b := s.of(origin)
	b.events++
	b.last = received
}

// changed counts one event of a source that changed the table.
func (s *senders) changed(origin uint16, kind dialog.Kind) {
	b := s.of(origin)
	b.applied++
	switch kind {
	case dialog.Create:
		b.created++
	case dialog.Delete:
		b.ended++
	}
}

// endpoint returns the number of the endpoint that a packet of the source came from: another than origin if the source is a
// node of which another appliance told.
func (s *senders) endpoint(origin uint16, from *packets.Sender, received int64) uint16 {
	if from.Node == 0 || from.Port == 0 {
		return origin
	}
	return s.origin(&packets.Sender{Endpoint: from.Endpoint}, received)
}

// plain counts a packet without a stamp that came from an endpoint. The sender asks for the count (package arrival).
func (s *senders) plain(origin uint16, packet []byte) {
	s.of(origin).plain.Add(packet)
}

// began notes one creation of the source, a good packet of which was counted just now: start is when the call was answered by
// its clock, in Unix seconds.
func (s *senders) began(origin uint16, start uint32, received int64) {
	if start > 0 {
		b := &s.batch[origin%MaxOrigins]
		b.skew = max(b.skew, int64(start)-received/int64(time.Second))
	}
}

// bad counts one refused packet. A source that never sent a good one gets no number: anyone can forge an address.
func (s *senders) bad(from packets.Sender) {
	n, _ := s.origins.find(from)
	c := s.counts[n].Load()
	if c == nil { // known from another worker
		c = newSenderCounts()
		s.counts[n].Store(c)
	}
	c.rejected.Store(c.rejected.Load() + 1)
}

// flush publishes what the batch has brought so far. The time comes first: a source with events has one.
func (s *senders) flush() {
	for _, origin := range s.touched {
		b, c := &s.batch[origin%MaxOrigins], s.counts[origin].Load()
		if b.last > c.last.Load() {
			c.last.Store(b.last)
		}
		add := func(sum *atomic.Uint64, n uint32) {
			if n > 0 {
				sum.Store(sum.Load() + uint64(n))
			}
		}
		add(&c.events, b.events)
		add(&c.applied, b.applied)
		add(&c.created, b.created)
		add(&c.ended, b.ended)
		if b.skew != noSkew {
			c.skew.take(b.skew, b.last)
		}
		if b.plain.Events > 0 {
			c.plain.Store(c.plain.Load() + b.plain.Events)
			c.digest.Store(c.digest.Load() + b.plain.Digest)
		}
		*b = batchCounts{skew: noSkew}
	}
	s.touched = s.touched[:0]
}
