package store

import "sync"

// Shard is the store's part of one shard of a model: a lock, an index and the entries. All methods need the lock, which
// Shards.Lock takes. A model's shard holds one by value; Shards makes it ready.
type Shard struct {
	mu sync.Mutex // guards all below

	hash    func(key []byte) uint32
	index   index
	slab    slab
	reserve int // bytes of memory that new entries leave to those that exist
}

// Unlock gives the shard up. The caller must not use it any more.
func (s *Shard) Unlock() { s.mu.Unlock() }

// Hash returns the tag of a key.
func (s *Shard) Hash(key []byte) uint32 { return s.hash(key) }

// Lookup returns the first chain with this tag, and the index slot that leads to it. The first entry is 0 if there is
// no chain. Another key may have the same tag, so the caller compares keys and goes on with LookupNext.
func (s *Shard) Lookup(tag uint32) (at int, first Ref) { return s.index.seek(s.index.home(tag), tag) }

// LookupNext returns the next chain with this tag behind index slot at, as Lookup does.
func (s *Shard) LookupNext(at int, tag uint32) (next int, first Ref) {
	return s.index.seek(after(at), tag)
}

// Entry returns the entry that r names; r must not be 0.
func (s *Shard) Entry(r Ref) Entry { return s.slab.entry(r) }

// Spot is the place of an entry in its chain, or the place where a new entry belongs.
type Spot struct {
	At    int // index slot of the chain, -1 if there is no chain
	First Ref // first entry of the chain
	Prev  Ref // entry before Entry, 0 if that is the first
	Entry Ref // 0 for none
}

// Insert puts a new entry of n bytes, at most MaxEntry, at the front of the chain at sp, or makes a chain if sp.At is
// -1. It returns 0 if there is no memory, and then nothing has changed. It writes the header. The caller writes what is
// behind it and sets the deadline: until then the entry is never due. sp is not valid afterwards.
func (s *Shard) Insert(sp *Spot, tag uint32, n int) Ref {
	r := s.slab.alloc(n, s.reserve)
	if r == 0 {
		return 0
	}
	e := s.slab.header(r)
	e.setTag(tag)
	if sp.At >= 0 {
		e.setNext(sp.First)
		s.index.set(sp.At, tag, r)
	} else if !s.index.insert(tag, r, s.reserve) {
		s.slab.release(r)
		return 0
	}
	return r
}

// Resize makes room for n bytes in the entry at sp. If that takes another slot, the first kept bytes are copied, header
// included, and sp.Entry changes. It reports false if there is no memory, and then nothing has changed; that never
// happens for an entry that doesn't grow. The caller sets the deadline again.
func (s *Shard) Resize(sp *Spot, n, kept int) bool {
	old := s.slab.entry(sp.Entry)
	if s.slab.sizes.of(n) == old.class() {
		return true
	}
	r := s.slab.alloc(n, 0)
	if r == 0 {
		return n <= s.slab.slotSize(old)
	}
	e := s.slab.entry(r)
	e.setNext(old.Next())
	e.setTag(old.Tag())
	if kept > HeaderSize {
		copy(e[HeaderSize:kept], old[HeaderSize:kept])
	}
	s.link(sp, old.Tag(), r)
	s.slab.release(sp.Entry)
	if sp.Prev == 0 {
		sp.First = r
	}
	sp.Entry = r
	return true
}

// Remove takes the entry at sp out of its chain and frees its slot. sp is not valid afterwards, but for a walk along
// the chain: its At and Prev are still right as long as the chain has another entry.
func (s *Shard) Remove(sp *Spot) {
	e := s.slab.header(sp.Entry)
	if next := e.Next(); sp.Prev == 0 && next == 0 {
		s.index.remove(sp.At)
	} else {
		s.link(sp, e.Tag(), next)
	}
	s.slab.release(sp.Entry)
}

// link makes r follow the entry before sp.Entry, or makes it the first. It doesn't set r's next.
func (s *Shard) link(sp *Spot, tag uint32, r Ref) {
	if sp.Prev == 0 {
		s.index.set(sp.At, tag, r)
	} else {
		s.slab.header(sp.Prev).setNext(r)
	}
}

// SetDeadline sets when r is due, in Unix seconds, at most MaxDeadline.
func (s *Shard) SetDeadline(r Ref, at uint32) { s.slab.setDeadline(r, at) }

// spotOf finds the index slot and the predecessor of an entry.
func (s *Shard) spotOf(r Ref) Spot {
	tag := s.slab.header(r).Tag()
	for at, first := s.Lookup(tag); ; at, first = s.LookupNext(at, tag) {
		for prev, link := Ref(0), first; link != 0; prev, link = link, s.slab.header(link).Next() {
			if link == r {
				return Spot{At: at, First: first, Prev: prev, Entry: r}
			}
		}
	}
}
