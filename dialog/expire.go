package dialog

import "encoding/binary"

// Expired is how many entries went because their time was over.
type Expired struct {
	Live       int // dialogs whose end nobody told
	Early      int // calls whose answer nobody told
	Tombstones int
}

func (e *Expired) add(state State) {
	switch {
	case state == Ended:
		e.Tombstones++
	case state.BeingSetUp():
		e.Early++
	default:
		e.Live++
	}
}

// One hold of a shard's lock looks at so many chunks that aren't due, or at one that is, and removes so many entries of it.
const (
	expireChunks = 256
	expireMost   = 128
)

// Expire removes what is due at now, in Unix seconds: live dialogs at timeout and grace, early ones and tombstones at
// the end of their time. It locks one shard at a time, shortly, and many times. It should be called about once a second, by one goroutine.
func (t *Table) Expire(now int64) Expired {
	var sum Expired
	clock := uint32(min(max(now, 0), maxDeadline)) // what a free slot has for a deadline stays ahead
	for i := range t.shards {
		s := t.lockToExpire(i)
		next := len(s.slab.chunks)
		for next > 0 {
			next = s.expire(next, clock, &sum)
			s.Unlock() // lets the others in
			s = t.lockToExpire(i)
		}
		s.Unlock()
	}
	return sum
}

func (t *Table) lockToExpire(shard int) *Shard {
	s := t.Lock(shard)
	t.expiryLocks.Add(1)
	return s
}

// ExpiryLocks is how many locks Expire has taken so far: it grows while Expire goes on, and not while it waits for one.
func (t *Table) ExpiryLocks() uint64 { return t.expiryLocks.Load() }

// expire goes on with the chunks below place n, backwards, and returns where to go on. A chunk that leaves is
// replaced by the last one, which was visited or is new; so no other is missed.
func (s *Shard) expire(n int, now uint32, sum *Expired) int {
	n = min(n, len(s.slab.chunks))
	for range expireChunks {
		if n == 0 {
			return 0
		}
		number := s.slab.chunks[n-1]
		if s.slab.arena.meta.at(number).earliest <= now {
			if s.expireChunk(number, now, sum) {
				n--
			}
			return n
		}
		n--
	}
	return n
}

// expireChunk removes what is due in one chunk, and tells whether that was all.
func (s *Shard) expireChunk(number, now uint32, sum *Expired) (done bool) {
	c := s.slab.arena.meta.at(number)
	base := int(number) * chunkSize
	earliest := uint32(maxDeadline)
	removed := 0
	for slot := range int(c.fresh) {
		deadline := binary.LittleEndian.Uint32(s.slab.mem[base+4*slot:])
		if deadline > now {
			earliest = min(earliest, deadline)
			continue
		}
		if removed == expireMost {
			return false
		}
		removed++
		last := c.used == 1
		r := ref((base + s.slab.sizes.offset(c.class, uint16(slot))) / refUnit)
		sp := s.spotOf(r)
		sum.add(s.slab.header(r).state())
		s.remove(&sp)
		if last {
			return true // and the chunk may be another's by now
		}
	}
	c.earliest = earliest
	return true
}

// spotOf finds the index slot and the predecessor of a record.
func (s *Shard) spotOf(r ref) spot {
	tag := s.slab.header(r).tag()
	for at := s.index.home(tag); ; at = after(at) {
		t, first := s.index.slot(at)
		if t != tag {
			continue
		}
		for prev, link := ref(0), first; link != 0; prev, link = link, s.slab.header(link).next() {
			if link == r {
				return spot{at: at, first: first, prev: prev, entry: r}
			}
		}
	}
}

// ExpiryGrace returns Config.ExpiryGrace in seconds, as it is in force.
func (t *Table) ExpiryGrace() uint32 { return t.shards[0].grace }
