package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"binrepd/userspace/in/packets"
)

// MaxOrigins bounds the register of sources. Source addresses can be forged, so it must be bounded; sources beyond are
// served like any other but share the origin 0, "other".
const MaxOrigins = 1024

// OtherOrigin stands for every source that found no place in the register.
const OtherOrigin = 0

// origins numbers the sources that sent at least one good packet, in the order in which they came. Numbers are never used
// again, because dialogs carry them.
type origins struct {
	mu    sync.RWMutex // guards byEnd, and is held to add to list
	byEnd map[packets.Endpoint]uint16

	// list is by number; list[0] is the zero Endpoint. What it points to is never changed, only followed by a longer one.
	list atomic.Pointer[[]packets.Endpoint]

	// restored is when live dialogs of a source came into the table from a file, by number, in ns since the epoch; 0: none did.
	restored [MaxOrigins]atomic.Int64
}

func newOrigins() *origins {
	o := &origins{byEnd: map[packets.Endpoint]uint16{}}
	list := make([]packets.Endpoint, 1, 64)
	o.list.Store(&list)
	return o
}

// number returns the number of ep, giving it one if there is room.
func (o *origins) number(ep packets.Endpoint) uint16 {
	if n, ok := o.known(ep); ok {
		return n
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if n, ok := o.byEnd[ep]; ok {
		return n
	}
	list := o.endpoints()
	if len(list) >= MaxOrigins {
		return OtherOrigin
	}
	n := uint16(len(list))
	list = append(list, ep)
	o.list.Store(&list)
	o.byEnd[ep] = n
	return n
}

// known returns the number of ep if it has one.
func (o *origins) known(ep packets.Endpoint) (uint16, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	n, ok := o.byEnd[ep]
	return n, ok
}

// endpoints returns all by number. It is shared: nobody may change it.
func (o *origins) endpoints() []packets.Endpoint { return *o.list.Load() }

// senderCounts is what one worker counts of one source. The worker is the only writer.
type senderCounts struct {
	events, rejected atomic.Uint64
	last             atomic.Int64 // receive time of the last good packet, ns since the epoch
	skew             skew
}

func newSenderCounts() *senderCounts {
	c := new(senderCounts)
	c.skew.init()
	return c
}

// senderSlots is the size of a worker's cache of source numbers; a power of two, enough for every proxy of a large
// site without collisions that matter.
const senderSlots = 256

// senders is a worker's own view of the register: a small cache in front of it, and counts by number.
// Counting is done in plain memory and published at the end of a batch: an atomic store waits for all stores before it, and those
// go to records that no cache holds.
type senders struct {
	origins *origins
	cache   [senderSlots]struct {
		ep     packets.Endpoint
		origin uint16
		valid  bool
	}
	counts [MaxOrigins]atomic.Pointer[senderCounts]

	batch   [MaxOrigins]batchCounts // what the batch under way has brought
	touched []uint16                // the origins that are in it
}

// batchCounts is what one batch has brought of one source.
type batchCounts struct {
	events uint64
	last   int64
	skew   int64 // noSkew: no creation
}

func (s *senders) init(o *origins) {
	s.origins = o
	s.touched = make([]uint16, 0, MaxOrigins)
	for i := range s.counts[:1] {
		s.counts[i].Store(newSenderCounts())
	}
}

// origin returns the number of ep.
func (s *senders) origin(ep packets.Endpoint) uint16 {
	slot := &s.cache[(uint32(ep.Addr[15])^uint32(ep.Addr[14])<<4^uint32(ep.Addr[13])<<2^uint32(ep.Port)*31)%senderSlots]
	if slot.valid && slot.ep == ep {
		return slot.origin
	}
	n := s.origins.number(ep)
	if s.counts[n].Load() == nil {
		s.counts[n].Store(newSenderCounts())
	}
	slot.ep, slot.origin, slot.valid = ep, n, true
	return n
}

// good counts one good packet of a source.
func (s *senders) good(origin uint16, received int64) {
	b := &s.batch[origin%MaxOrigins]
	if b.events == 0 {
		s.touched = append(s.touched, origin)
		b.skew = noSkew
	}
	b.events++
	b.last = received
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
func (s *senders) bad(ep packets.Endpoint) {
	n, _ := s.origins.known(ep)
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
		c.events.Store(c.events.Load() + b.events)
		if b.skew != noSkew {
			c.skew.take(b.skew, b.last)
		}
		b.events = 0
	}
	s.touched = s.touched[:0]
}
