package dialog

import (
	"bytes"
	"math"
	"sync"
	"sync/atomic"
)

// Shard is one part of the table, with a lock, an index and records of its own. Its methods need the lock, which Table.Lock took.
type Shard struct {
	mu sync.Mutex // guards all below

	tagOf  func(callID []byte) uint32
	index  index
	slab   slab
	counts counts
	shown  shown // of counts, for those who have no lock
	view   View  // lent to the functions of Get and Scan

	maxPerCall int
	keep       int // bytes of memory that new dialogs leave to known ones
	tombstone  uint32
	early      uint32
	grace      uint32
	lifetime   uint32
	dialogs    quota
	tombstones quota

	_ [64]byte // the next shard's lock lies in another cache line
}

type counts struct {
	byState      [Ended + 1]int
	bytes        int
	unremembered uint64
	clamped      uint64
}

// shown is what was last shown of counts. Whoever changes a shard writes it, under the shard's lock, and anyone reads it: who looks at the table holds
// nothing that those who change it wait for, even if the system stops it while it looks.
type shown struct {
	byState      [Ended + 1]atomic.Int64
	bytes        atomic.Int64
	unremembered atomic.Uint64
	clamped      atomic.Uint64
}

// show brings t up to date. A store waits for all stores before it, so that only what has changed is stored.
func (t *shown) show(c *counts) {
	for i := range c.byState {
		if n := int64(c.byState[i]); t.byState[i].Load() != n {
			t.byState[i].Store(n)
		}
	}
	if n := int64(c.bytes); t.bytes.Load() != n {
		t.bytes.Store(n)
	}
	if t.unremembered.Load() != c.unremembered {
		t.unremembered.Store(c.unremembered)
	}
	if t.clamped.Load() != c.clamped {
		t.clamped.Store(c.clamped)
	}
}

// add counts rec in, or out with n = -1.
func (c *counts) add(rec record, n int) {
	c.byState[rec.state()%State(len(c.byState))] += n
	c.bytes += n * rec.size()
}

// leastPerShard is what a shard takes at once for its index, and a chunk for records.
const leastPerShard = 2 * chunkSize

func (s *Shard) init(t *Table, c *Config, z *sizes) error {
	a := t.arena
	s.tagOf = t.tag
	s.maxPerCall = c.MaxPerCall
	s.tombstone, s.early, s.grace = seconds(c.Tombstone), seconds(c.EarlyTimeout), seconds(c.ExpiryGrace)
	s.lifetime = seconds(c.MaxLifetime)
	if c.MaxBytes > 0 {
		s.keep = max(4*chunkSize, a.limit/64)
	}
	if c.MaxDialogs > 0 {
		s.dialogs = newQuota(&t.dialogs, c.MaxDialogs, c.Shards)
		s.tombstones = newQuota(&t.tombstones, c.MaxDialogs, c.Shards)
	}
	s.slab = slab{mem: a.mem, arena: a, sizes: z, room: make([]uint32, len(z.slot))}
	return s.index.init(a)
}

// Unlock gives the shard up; it must not be used any more.
func (s *Shard) Unlock() {
	s.shown.show(&s.counts)
	s.mu.Unlock()
}

// Apply plays events upon the shard in their order, and sets the Outcome of each. All must belong to this
// shard. now is Unix seconds. It takes no memory from the heap, but for growing.
//
// It goes over the events several times: first to touch the memory that will be needed, with nothing depending on what
// it finds, so that the cache misses of a batch overlap; and in the last pass to do the work.
func (s *Shard) Apply(evs []*Event, now int64) {
	clock := uint32(min(max(now, 0), math.MaxUint32))
	for len(evs) > 0 {
		n := min(len(evs), batch)
		s.touch(evs[:n])
		for _, ev := range evs[:n] {
			ev.Outcome = s.apply(ev, clock)
		}
		evs = evs[n:]
	}
}

// spot is where an event's dialog is, or belongs.
type spot struct {
	at    int // index slot of the Call-ID, -1 if it has none
	first ref // of the chain
	prev  ref // before entry, 0 if that is the first
	entry ref // what the event meets, 0 for nothing
	chain int // length of the chain; only if there is no entry with the event's own key
}

// chain looks a Call-ID up.
func (s *Shard) chain(tag uint32, callID []byte) (at int, first ref) {
	for at = s.index.home(tag); ; at = after(at) {
		t, r := s.index.slot(at)
		if r == 0 {
			return -1, 0
		}
		if t == tag {
			key := s.slab.record(r).key()
			if id, _ := key.Part(); bytes.Equal(id, callID) {
				return at, r
			}
		}
	}
}

// find looks for the entry that ev meets: the one with its key, else one whose key has the tags in the other
// order, if that is a tombstone or ev an end. It writes through a pointer, because copying a result of several
// small fields waits until all stores before it have reached the cache.
func (s *Shard) find(ev *Event, sp *spot) {
	sp.first, sp.prev, sp.entry, sp.chain = 0, 0, 0, 0
	for at := s.index.home(ev.tag); ; at = after(at) {
		t, r := s.index.slot(at)
		if r == 0 {
			sp.at = -1
			return
		}
		if t != ev.tag {
			continue
		}
		key := s.slab.record(r).key()
		if bytes.Equal(key, ev.Key) {
			sp.at, sp.first, sp.entry = at, r, r
			return
		}
		if key.sameCallID(ev.Key) {
			sp.at, sp.first = at, r
			s.walk(ev, sp)
			return
		}
	}
}

func (s *Shard) walk(ev *Event, sp *spot) {
	for prev, r := ref(0), sp.first; r != 0; sp.chain++ {
		rec := s.slab.record(r)
		key := rec.key()
		if bytes.Equal(key, ev.Key) {
			sp.prev, sp.entry = prev, r
			return
		}
		if sp.entry == 0 && (rec.state() == Ended || ev.ends()) && key.mirrors(ev.Key) {
			sp.prev, sp.entry = prev, r
		}
		prev, r = r, rec.next()
	}
}

// link puts r where entry is, or with an entry of 0 to the front of the chain. It sets no next.
func (s *Shard) link(sp *spot, tag uint32, r ref) {
	if sp.prev == 0 {
		s.index.set(sp.at, tag, r)
	} else {
		s.slab.header(sp.prev).setNext(r)
	}
}

// remove takes the entry at sp out and frees its slot.
func (s *Shard) remove(sp *spot) {
	rec := s.slab.record(sp.entry)
	s.counts.add(rec, -1)
	if rec.state() == Ended {
		s.tombstones.give()
	} else {
		s.dialogs.give()
	}
	if next := rec.next(); sp.prev == 0 && next == 0 {
		s.index.remove(sp.at)
	} else {
		s.link(sp, rec.tag(), next)
	}
	s.slab.release(sp.entry)
}
