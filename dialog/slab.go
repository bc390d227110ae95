package dialog

import "encoding/binary"

// A chunk that holds records is an array of deadlines and an array of slots, all of one size:
//
//	| deadline 0 | deadline 1 | ... | pad to 16 | slot 0 | slot 1 | ... | rest |
//
// A deadline is Unix seconds, little endian. That of a free slot is noDeadline with the number of
// the next free slot in its lower half, so it is the free list as well, and never due.
const (
	noDeadline  = 0xffff0000
	maxDeadline = noDeadline - 1
	noSlot      = 0xffff // ends a free list
)

const (
	minSlot = 48 // header, three lengths, a few bytes
	// maxSlot fills a chunk, with one deadline beside it: 65,520 bytes.
	maxSlot = chunkSize - refUnit
	// stepsPerDoubling bounds what is lost by rounding up: an eighth at most, a sixteenth on average.
	stepsPerDoubling = 8
)

// sizes are the size classes of slots. They are computed once for a table and then only read.
type sizes struct {
	class [maxSlot/refUnit + 1]uint8 // by size in units, rounded up
	slot  []uint32                   // bytes, by class
	first []uint32                   // offset of slot 0 in its chunk, by class
	count []uint16                   // slots in a chunk, by class
}

func newSizes() *sizes {
	z := &sizes{}
	unit := 0
	count := chunkSize / (minSlot + 4)
	for {
		size := slotSize(count)
		for ; unit <= size/refUnit; unit++ {
			z.class[unit] = uint8(len(z.slot))
		}
		z.slot = append(z.slot, uint32(size))
		z.first = append(z.first, uint32(firstSlot(count)))
		z.count = append(z.count, uint16(count))
		if size == maxSlot {
			return z
		}
		// The next class is the largest one within a step, or else the next one there is.
		for count--; count > 1 && (slotSize(count) == size || slotSize(count-1) <= size+size/stepsPerDoubling); {
			count--
		}
	}
}

// slotSize is the size of slots, so many of which fill a chunk together with their deadlines.
func slotSize(count int) int {
	return (chunkSize - firstSlot(count)) / count / refUnit * refUnit
}

// of returns the class for records of n bytes, which must be at most maxSlot.
func (z *sizes) of(n int) uint8 { return z.class[(n+refUnit-1)/refUnit] }

// offset returns where in its chunk a slot begins.
func (z *sizes) offset(class uint8, slot uint16) int {
	return int(z.first[class]) + int(slot)*int(z.slot[class])
}

// firstSlot is the offset of the first slot in a chunk of so many.
func firstSlot(count int) int { return (4*count + refUnit - 1) / refUnit * refUnit }

// chunk is what a shard knows of one of its chunks. It is small, because most events touch one or two.
type chunk struct {
	earliest uint32 // no deadline in it is earlier
	at       uint32 // its place in slab.chunks
	prev     uint32 // neighbours in the list of chunks of its class that have room, 0 none
	next     uint32 // (chunk 0 of an arena always belongs to an index, so 0 is free to mean none)
	used     uint16 // slots
	fresh    uint16 // slots from here on were never used, and their deadlines mean nothing
	free     uint16 // first of the free list
	class    uint8
}

// slab keeps the records of one shard.
type slab struct {
	mem    []byte
	arena  *arena
	sizes  *sizes
	chunks []uint32 // numbers of all chunks
	room   []uint32 // by class: first of the chunks that have room, 0 none
}

// chunkTable holds the chunks of all shards by their number, in blocks, so that it grows without being copied. An entry is
// guarded by the lock of the shard that holds the chunk; a block is made before the first of its chunks is used.
type chunkTable [maxReserve / chunkSize / chunkBlock]*chunks

type chunks [chunkBlock]chunk

const chunkBlock = 512

func (t *chunkTable) at(number uint32) *chunk {
	return &t[number/chunkBlock%uint32(len(t))][number%chunkBlock]
}

// alloc finds a free slot for a record of n bytes and returns it with slot number, class and next set,
// the latter to none, or 0 if there is no memory. keep is how much memory to leave to others.
func (s *slab) alloc(n, keep int) ref {
	class := s.sizes.of(n)
	number := s.room[class]
	if number == 0 {
		if number = s.grow(class, keep); number == 0 {
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
	off := base + s.sizes.offset(class, slot)
	rec := record(s.mem[off : off+recordHeader])
	rec.setNext(0)
	binary.LittleEndian.PutUint16(rec[atSlot:], slot)
	rec[atClass] = class
	return ref(off / refUnit)
}

// release frees the slot of r.
func (s *slab) release(r ref) {
	number := uint32(r) / (chunkSize / refUnit)
	c := s.arena.meta.at(number)
	slot := s.header(r).slot()
	binary.LittleEndian.PutUint32(s.mem[int(number)*chunkSize+4*int(slot):], noDeadline|uint32(c.free))
	c.free = slot
	if c.used == s.sizes.count[c.class] {
		s.addRoom(number, c)
	}
	// The last chunk with room of its class is kept, so that one record coming and going doesn't move a chunk each time.
	if c.used--; c.used == 0 && (c.prev != 0 || c.next != 0) {
		s.shrink(number, c)
	}
}

// setDeadline sets when r is due.
func (s *slab) setDeadline(r ref, slot uint16, deadline uint32) {
	number := uint32(r) / (chunkSize / refUnit)
	binary.LittleEndian.PutUint32(s.mem[int(number)*chunkSize+4*int(slot):], deadline)
	if c := s.arena.meta.at(number); deadline < c.earliest {
		c.earliest = deadline
	}
}

// chunkOf returns the chunk of r.
func (s *slab) chunkOf(r ref) *chunk {
	return s.arena.meta.at(uint32(r) / (chunkSize / refUnit))
}

// outline returns where the deadline of r lies, and where its slot ends, without a look at the record.
func (s *slab) outline(r ref) (deadline, end uint64) {
	const units = chunkSize / refUnit
	base := uint64(r) / units * chunkSize
	class := s.chunkOf(r).class
	first, size := s.sizes.first[class], s.sizes.slot[class]
	slot := (uint32(r)%units*refUnit - first) / size
	return base + 4*uint64(slot), base + uint64(first+(slot+1)*size)
}

// header returns the header of r alone, record all that its slot may hold.
func (s *slab) header(r ref) record {
	off := int(r) * refUnit
	return record(s.mem[off : off+recordHeader])
}

func (s *slab) record(r ref) record {
	off := int(r) * refUnit
	return record(s.mem[off:])
}

// slotOf returns the size in bytes of the slot that holds rec.
func (s *slab) slotOf(rec record) int { return int(s.sizes.slot[rec.class()]) }

// grow takes a chunk for class; 0 if there is none.
func (s *slab) grow(class uint8, keep int) uint32 {
	number, ok := s.arena.take(keep)
	if !ok {
		return 0
	}
	c := s.arena.meta.at(number)
	*c = chunk{earliest: maxDeadline, at: uint32(len(s.chunks)), free: noSlot, class: class}
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
