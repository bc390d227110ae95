package store

import "encoding/binary"

// One hold of a shard's lock looks at up to expireChunks chunks that aren't due, or removes up to expireMost entries
// from one that is.
const (
	expireChunks = 256
	expireMost   = 128
)

// Expire removes what is due at now, in Unix seconds. It calls gone for each entry before that leaves, with the shard
// locked. It locks one shard at a time, for a short time, and many times. One goroutine should call it about once a
// second.
func (t *Shards[S]) Expire(now int64, gone func(*S, Entry)) {
	clock := uint32(min(max(now, 0), MaxDeadline)) // the deadlines of free slots are later
	for i := range t.list {
		s := t.lockToExpire(i)
		p := t.model.Part(s)
		next := len(p.slab.chunks)
		for next > 0 {
			next = p.expire(next, clock, func(e Entry) { gone(s, e) })
			t.model.Unlock(s) // so that others get a turn
			t.lockToExpire(i)
		}
		t.model.Unlock(s)
	}
}

func (t *Shards[S]) lockToExpire(shard int) *S {
	s := t.Lock(shard)
	t.expiryLocks.Add(1)
	return s
}

// ExpiryLocks is how many locks Expire has taken so far. It grows while Expire makes progress, and not while Expire
// waits for a lock.
func (t *Shards[S]) ExpiryLocks() uint64 { return t.expiryLocks.Load() }

// expire goes on with the chunks below place n, backwards, and returns where to go on. The last chunk takes the place
// of a chunk that leaves. It was visited already or is new, so no chunk is missed.
func (s *Shard) expire(n int, now uint32, gone func(Entry)) int {
	n = min(n, len(s.slab.chunks))
	for range expireChunks {
		if n == 0 {
			return 0
		}
		number := s.slab.chunks[n-1]
		if s.slab.arena.meta.at(number).earliest <= now {
			if s.expireChunk(number, now, gone) {
				n--
			}
			return n
		}
		n--
	}
	return n
}

// expireChunk removes what is due in one chunk, and reports whether that was all.
func (s *Shard) expireChunk(number, now uint32, gone func(Entry)) (done bool) {
	c := s.slab.arena.meta.at(number)
	base := int(number) * chunkSize
	earliest := uint32(MaxDeadline)
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
		r := Ref((base + s.slab.sizes.offset(c.class, uint16(slot))) / refUnit)
		sp := s.spotOf(r)
		gone(s.slab.entry(r))
		s.Remove(&sp)
		if last {
			return true // another shard may have the chunk by now
		}
	}
	c.earliest = earliest
	return true
}
