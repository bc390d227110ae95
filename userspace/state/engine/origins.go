package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/arrival"
)

// MaxOrigins bounds the register of sources, because source addresses can be forged. Sources for which there is no room are served like
// any other, but share the number 0, "other".
const MaxOrigins = 1024

// OtherOrigin stands for every source that found no place in the register.
const OtherOrigin = 0

// origins is the register of sources. It numbers the senders that sent at least one good packet, in the order in which they came. A number is
// never used again, because dialogs carry it.
type origins struct {
	mu    sync.RWMutex // guards known, and is held to add to list
	known map[packets.Sender]uint16

	// list is by number; list[0] is the zero Sender. What it points to never changes: a longer list takes its place.
	list atomic.Pointer[[]packets.Sender]

	// restored is when live dialogs of a source came into the table from a file, by number, in ns since the epoch; 0: none did.
	restored [MaxOrigins]atomic.Int64
}

func newOrigins() *origins {
	o := &origins{known: map[packets.Sender]uint16{}}
	list := make([]packets.Sender, 1, 64)
	o.list.Store(&list)
	return o
}

// number returns the number of a sender. It gives it one if there is room.
func (o *origins) number(from packets.Sender) uint16 {
	if n, ok := o.find(from); ok {
		return n
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if n, ok := o.known[from]; ok {
		return n
	}
	list := o.senders()
	if len(list) >= MaxOrigins {
		return OtherOrigin
	}
	n := uint16(len(list))
	list = append(list, from)
	o.list.Store(&list)
	o.known[from] = n
	return n
}

// find returns the number of a sender if it has one.
func (o *origins) find(from packets.Sender) (uint16, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	n, ok := o.known[from]
	return n, ok
}

// senders returns all by number. The list is shared: it must not be changed.
func (o *origins) senders() []packets.Sender { return *o.list.Load() }

// senderCounts is what one worker counts of one source. The worker is the only writer.
type senderCounts struct {
	events, rejected atomic.Uint64
	last             atomic.Int64  // receive time of the last good packet, ns since the epoch
	plain, digest    atomic.Uint64 // an arrival.Count
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

// senders is a worker's own view of the register: a small cache in front of it, and counts by number. A worker counts in plain memory and
// publishes the sums at the end of a batch. An atomic store would wait for all stores before it, which go to dialogs that no cache
// holds.
type senders struct {
	origins *origins
	cache   [senderSlots]struct {
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
	events uint64
	last   int64
	skew   int64 // noSkew: no creation
	plain  arrival.Count
}

func (s *senders) init(o *origins) {
	s.origins = o
	s.touched = make([]uint16, 0, MaxOrigins)
	for i := range s.counts[:1] {
		s.counts[i].Store(newSenderCounts())
	}
}

// origin returns the number of a sender.
func (s *senders) origin(from *packets.Sender) uint16 {
	slot := &s.cache[(uint32(from.Addr[15])^uint32(from.Addr[14])<<4^uint32(from.Addr[13])<<2^uint32(from.Port)*31^from.Node)%senderSlots]
	if slot.valid && slot.from == *from {
		return slot.origin
	}
	n := s.origins.number(*from)
	if s.counts[n].Load() == nil {
		s.counts[n].Store(newSenderCounts())
	}
	slot.from, slot.origin, slot.valid = *from, n, true
	return n
}

// endpoint returns the number of the endpoint that a packet of the source came from: another than origin if the source is a
// node of which another appliance told.
func (s *senders) endpoint(origin uint16, from *packets.Sender) uint16 {
	if from.Node == 0 || from.Port == 0 {
		return origin
	}
	return s.origin(&packets.Sender{Endpoint: from.Endpoint})
}

// good counts one good packet of a source.
func (s *senders) good(origin uint16, received int64) {
	b := s.touch(origin)
	b.events++
	b.last = received
}

// touch returns what the batch has brought of a source.
func (s *senders) touch(origin uint16) *batchCounts {
	b := &s.batch[origin%MaxOrigins]
	if b.events == 0 && b.plain.Events == 0 {
		s.touched = append(s.touched, origin)
		b.skew = noSkew
	}
	return b
}

// plain counts a packet without a stamp that came from an endpoint. The sender asks for the count (package arrival).
func (s *senders) plain(origin uint16, packet []byte) {
	s.touch(origin).plain.Add(packet)
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
		c.events.Store(c.events.Load() + b.events)
		if b.skew != noSkew {
			c.skew.take(b.skew, b.last)
		}
		c.plain.Store(c.plain.Load() + b.plain.Events)
		c.digest.Store(c.digest.Load() + b.plain.Digest)
		b.events, b.plain = 0, arrival.Count{}
	}
	s.touched = s.touched[:0]
}
