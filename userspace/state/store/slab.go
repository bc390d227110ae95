package store

import "encoding/binary"

// A chunk that holds entries is an array of deadlines and an array of slots, all of one size:
//
//	| deadline 0 | deadline 1 | ... | pad to 16 | slot 0 | slot 1 | ... | rest |
//
// A deadline is Unix seconds, little endian. The deadline of a free slot is noDeadline with the number of the next free
// slot in its lower half. So the deadlines are the free list as well, and a free slot is never due.
const (
	noDeadline = 0xffff0000
	noSlot     = 0xffff // ends a free list
)

// MaxDeadline is the latest time at which an entry can be due: 18 hours before the end of 32 bits, in 2106.
const MaxDeadline = noDeadline - 1

// chunk is what a shard knows of one of its chunks of entries. It is small, because most changes touch one or two.
type chunk struct {
	earliest uint32 // no deadline in it is earlier
	at       uint32 // its place in slab.chunks
	prev     uint32 // neighbours in the list of chunks of its class that have room, 0 for none:
	next     uint32 // chunk 0 of an arena always belongs to an index (index.dropPage)
	used     uint16 // number of slots in use
	fresh    uint16 // slots from here on were never used, and their deadlines mean nothing
	free     uint16 // first slot of the free list
	class    uint8
}

// slab holds the entries of one shard.
type slab struct {
	mem    []byte
	arena  *arena
	sizes  *sizes
	chunks []uint32 // numbers of all chunks
	room   []uint32 // by class: the first of the chunks that have room, 0 for none
}

// chunkTable holds the chunks of all shards by their number. It is made of blocks, so that it grows without being
// copied. The lock of the shard that has a chunk guards its element. A block is made before the first of its chunks is
// used.
type chunkTable [maxReserve / chunkSize / chunkBlock]*chunks

type chunks [chunkBlock]chunk

const chunkBlock = 512

func (t *chunkTable) at(number uint32) *chunk {
	return &t[number/chunkBlock%uint32(len(t))][number%chunkBlock]
}

// alloc finds a free slot for an entry of n bytes, or returns 0 if there is no memory. It writes the header: slot,
// class, and no next. The entry is not due before MaxDeadline. reserve is how many bytes of memory to leave to others.
func (s *slab) alloc(n, reserve int) Ref {
	class := s.sizes.of(n)
	number := s.room[class]
	if number == 0 {
		if number = s.grow(class, reserve); number == 0 {
			return 0
		}
	}
	c := s.arena.meta.at(number)
	base := int(number) * chunkSize
	slot := c.free
	if slot != noSlot {
		c.free = uint16(binary.LittleEndian.Uint32(s.mem[base+4*int(slot):]))
	} else {
		slot = c.fresh
		c.fresh++
	}
	if c.used++; c.used == s.sizes.count[class] {
		s.dropRoom(number, c)
	}
	binary.LittleEndian.PutUint32(s.mem[base+4*int(slot):], MaxDeadline)
	off := base + s.sizes.offset(class, slot)
	e := Entry(s.mem[off : off+HeaderSize])
	e.setNext(0)
	binary.LittleEndian.PutUint16(e[atSlot:], slot)
	e[atClass] = class
	return Ref(off / refUnit)
}

// release frees the slot of r.
func (s *slab) release(r Ref) {
	number := uint32(r) / (chunkSize / refUnit)
	c := s.arena.meta.at(number)
	slot := s.header(r).slot()
	binary.LittleEndian.PutUint32(s.mem[int(number)*chunkSize+4*int(slot):], noDeadline|uint32(c.free))
	c.free = slot
	if c.used == s.sizes.count[c.class] {
		s.addRoom(number, c)
	}
	// The last chunk of its class that has room stays, so that one entry that comes and goes doesn't move a chunk each
	// time.
	if c.used--; c.used == 0 && (c.prev != 0 || c.next != 0) {
		s.shrink(number, c)
	}
}

// setDeadline sets when r is due.
func (s *slab) setDeadline(r Ref, deadline uint32) {
	number := uint32(r) / (chunkSize / refUnit)
	slot := s.header(r).slot()
	binary.LittleEndian.PutUint32(s.mem[int(number)*chunkSize+4*int(slot):], deadline)
	if c := s.arena.meta.at(number); deadline < c.earliest {
		c.earliest = deadline
	}
}

// chunkOf returns the chunk of r.
func (s *slab) chunkOf(r Ref) *chunk {
	return s.arena.meta.at(uint32(r) / (chunkSize / refUnit))
}

// outline returns the offset of r's deadline, and the offset at which its slot ends, without a look at the entry.
func (s *slab) outline(r Ref) (deadline, end uint64) {
	const units = chunkSize / refUnit
	base := uint64(r) / units * chunkSize
	class := s.chunkOf(r).class
	first, size := s.sizes.first[class], s.sizes.slot[class]
	slot := (uint32(r)%units*refUnit - first) / size
	return base + 4*uint64(slot), base + uint64(first+(slot+1)*size)
}

// header returns the header of r alone.
func (s *slab) header(r Ref) Entry {
	off := int(r) * refUnit
	return Entry(s.mem[off : off+HeaderSize])
}

func (s *slab) entry(r Ref) Entry { return Entry(s.mem[int(r)*refUnit:]) }

// slotSize returns the size in bytes of the slot that holds e.
func (s *slab) slotSize(e Entry) int { return int(s.sizes.slot[e.class()]) }

// grow takes a chunk for class. It returns 0 if there is none.
func (s *slab) grow(class uint8, reserve int) uint32 {
	number, ok := s.arena.take(reserve)
	if !ok {
		return 0
	}
	c := s.arena.meta.at(number)
	*c = chunk{earliest: MaxDeadline, at: uint32(len(s.chunks)), free: noSlot, class: class}
	s.chunks = append(s.chunks, number)
	s.addRoom(number, c)
	return number
}

// shrink gives an empty chunk back.
func (s *slab) shrink(number uint32, c *chunk) {
	s.dropRoom(number, c)
	last := s.chunks[len(s.chunks)-1]
	s.chunks[c.at] = last
	s.arena.meta.at(last).at = c.at
	s.chunks = s.chunks[:len(s.chunks)-1]
	s.arena.put(number)
}

func (s *slab) addRoom(number uint32, c *chunk) {
	first := s.room[c.class]
	if c.prev, c.next = 0, first; first != 0 {
		s.arena.meta.at(first).prev = number
	}
	s.room[c.class] = number
}

func (s *slab) dropRoom(number uint32, c *chunk) {
	if c.prev != 0 {
		s.arena.meta.at(c.prev).next = c.next
	} else {
		s.room[c.class] = c.next
	}
	if c.next != 0 {
		s.arena.meta.at(c.next).prev = c.prev
	}
	c.prev, c.next = 0, 0
}
