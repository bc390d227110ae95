package dialog

import (
	"bytes"
	"encoding/binary"
	"math"
	"sync/atomic"

	"binrepd/dialog/layout"
	"binrepd/userspace/state/store"
)

// Shard is one part of the table, with a lock, an index and entries of its own. Its methods need the lock, which
// Table.Lock takes.
type Shard struct {
	part   store.Shard
	counts counts
	shown  shown // copy of counts for readers without the lock
	view   View  // lent to the functions of Get and Scan

	maxPerCall int
	tombstone  uint32 // seconds, as are those below
	early      uint32
	grace      uint32
	lifetime   uint32
	waitTime   uint32
	dialogs    store.Quota
	tombstones store.Quota
	waiting    store.Quota
	runs       *atomic.Uint32 // the table's

	// Memory for changes of dialogs, used again for each.
	parsed           [2]layout.View
	scratch, message []byte
	settled          Event
}

func (s *Shard) init(c *Config, runs *atomic.Uint32, dialogs, tombstones, waiting *store.Pool) {
	s.maxPerCall = c.MaxPerCall
	s.tombstone, s.early, s.grace = seconds(c.Tombstone), seconds(c.EarlyTimeout), seconds(c.ExpiryGrace)
	s.lifetime = seconds(c.MaxLifetime)
	s.waitTime, s.runs = seconds(c.Wait), runs
	s.dialogs, s.tombstones, s.waiting = dialogs.Quota(), tombstones.Quota(), waiting.Quota()
}

// Unlock gives the shard up. The caller must not use it any more.
func (s *Shard) Unlock() {
	s.shown.show(&s.counts)
	s.part.Unlock()
}

// Apply plays events on the shard in their order, and sets the Outcome of each. All must belong to this shard. now is
// Unix seconds. It takes no memory from the heap, but for growing and shrinking.
//
// It goes over the events twice: first it draws the memory that they will need into the caches, and nothing depends on
// what it finds, so that the cache misses of a batch overlap. Then it does the work.
func (s *Shard) Apply(evs []*Event, now int64) {
	clock := uint32(min(max(now, 0), math.MaxUint32))
	for len(evs) > 0 {
		n := min(len(evs), store.Batch)
		s.prefetch(evs[:n])
		for _, ev := range evs[:n] {
			ev.Outcome = s.apply(ev, clock)
		}
		evs = evs[n:]
	}
}

// prefetch computes the tags of a batch and draws what apply will need into the caches.
func (s *Shard) prefetch(evs []*Event) {
	var tags [store.Batch]uint32
	for i, ev := range evs {
		if wide(ev.Layout) {
			size := binary.LittleEndian.Uint32(ev.Key)
			ev.tag = s.part.Hash(ev.Key[4 : 4+size])
		} else {
			size := 2 + int(binary.LittleEndian.Uint16(ev.Key))
			ev.tag = s.part.Hash(ev.Key[2:size])
		}
		tags[i%store.Batch] = ev.tag
	}
	s.part.Prefetch(tags[:len(evs)])
}

// entry returns the entry that r names; r must not be 0.
func (s *Shard) entry(r store.Ref) entry { return entry(s.part.Entry(r)) }

// chain returns the first entry of a Call-ID, 0 if there is none.
func (s *Shard) chain(tag uint32, callID []byte) store.Ref {
	at, r := s.part.Lookup(tag)
	for r != 0 {
		if id, _ := s.entry(r).key().part(); bytes.Equal(id, callID) {
			return r
		}
		at, r = s.part.LookupNext(at, tag)
	}
	return 0
}

// spot is the place of an event's dialog, or the place where it belongs.
type spot struct {
	store.Spot
	length int // of the chain; only if there is no entry with the event's own key
}

// find looks for the entry that ev meets: the one with its key, else one whose key has the tags in the other order, if
// that is a tombstone or ev an end. It writes through a pointer, because copying a result of several small fields waits
// until all stores before it have reached the cache.
func (s *Shard) find(ev *Event, sp *spot) {
	sp.First, sp.Prev, sp.Entry, sp.length = 0, 0, 0, 0
	at, r := s.part.Lookup(ev.tag)
	for r != 0 {
		e := s.entry(r)
		if e.is(ev) {
			sp.At, sp.First, sp.Entry = at, r, r
			return
		}
		if e.key().sameCallID(ev.key()) {
			sp.At, sp.First = at, r
			s.walk(ev, sp)
			return
		}
		at, r = s.part.LookupNext(at, ev.tag)
	}
	sp.At = -1
}

// walk goes on with find along the chain of the event's Call-ID.
func (s *Shard) walk(ev *Event, sp *spot) {
	for prev, r := store.Ref(0), sp.First; r != 0; {
		e := s.entry(r)
		if e.is(ev) {
			sp.Prev, sp.Entry = prev, r
			return
		}
		if e.state() != waits {
			sp.length++
			if sp.Entry == 0 && (e.state() == Ended || ev.ends()) && e.key().mirrors(ev.key()) && e.sameHID(ev) {
				sp.Prev, sp.Entry = prev, r
			}
		}
		prev, r = r, e.next()
	}
}

// remove takes the entry at sp out of the table.
func (s *Shard) remove(sp *spot) {
	s.forget(s.entry(sp.Entry))
	s.part.Remove(&sp.Spot)
}

// forget takes an entry that leaves out of counts and quotas.
func (s *Shard) forget(e entry) {
	s.counts.add(e, -1)
	s.quota(e.state()).Give()
}

// quota is the one that entries in this state use up.
func (s *Shard) quota(state State) *store.Quota {
	switch state {
	case Ended:
		return &s.tombstones
	case waits:
		return &s.waiting
	}
	return &s.dialogs
}
