package store

import (
	"encoding/binary"
	"math/bits"
)

// The index of a shard leads from a tag, the 32-bit hash of a key, to the chain of that key's entries. It is extendible
// hashing (Fagin and others, "Extendible hashing: a fast access method for dynamic files", 1979):
//
//	directory, by the tag's first bits      pages of 4 KiB: 512 slots, found by the tag's last 9 bits,
//	   00 --> page 0                        linear probing inside the page
//	   01 --> page 2                        slot: tag << 32 | Ref of the first entry, 0 for empty
//	   10 --> page 1
//	   11 --> page 1
//
// A full page is split in two by one more bit, and that is all that growing costs at once. Two pages that differ in one
// bit merge when both together are nearly empty (merge.go). Each page covers one range of tags, and splitting and
// merging move no entry to another tag: a scan relies on that.
const (
	pageSlots = 512
	pageSize  = pageSlots * 8
	pageFull  = pageSlots * 3 / 4 // a page is split from here on: a fuller one makes the search for a missing key long
	pageMost  = pageSlots - 1     // one slot stays empty, so that probing ends
	// spareDepth bounds the directory to 2^spareDepth elements for each page, in case tags are equal in many bits and
	// splitting is of no use.
	spareDepth = 6
	maxDepth   = 32 // bits of a tag
)

type index struct {
	mem    []byte
	arena  *arena
	depth  uint8
	dir    []bucket // 2^depth elements
	pages  []page   // page k lies in chunks[k/chunkPages]
	chunks []uint32 // numbers of the chunks that hold pages

	atDepth [maxDepth + 1]uint32 // how many pages have each depth
}

// bucket is an element of the directory.
type bucket struct {
	base uint32 // of the page: its offset in the arena, in pages
	page uint32 // its number
}

type page struct {
	from  uint32 // the first tag of its range
	count uint16 // slots in use
	depth uint8  // how many of the tags' first bits are the same on this page
}

// bucket is the directory's element for tag.
func (x *index) bucket(tag uint32) bucket {
	return x.dir[uint64(tag)>>((32-x.depth)&63)]
}

// home is the offset in the arena of the slot at which the search for tag begins.
func (x *index) home(tag uint32) int {
	return int(x.bucket(tag).base)*pageSize + int(tag%pageSlots)*8
}

// after is the slot behind at, on the same page.
func after(at int) int { return at&^(pageSize-1) | (at+8)&(pageSize-1) }

// slot returns what is in the slot at that offset.
func (x *index) slot(at int) (tag uint32, first Ref) {
	v := binary.LittleEndian.Uint64(x.mem[at:])
	return uint32(v >> 32), Ref(v)
}

func (x *index) set(at int, tag uint32, first Ref) {
	binary.LittleEndian.PutUint64(x.mem[at:], uint64(tag)<<32|uint64(first))
}

// seek returns the first slot with this tag from at on, and the chain that it leads to. It returns -1 and 0 if there is
// none.
func (x *index) seek(at int, tag uint32) (int, Ref) {
	for {
		t, r := x.slot(at)
		if r == 0 {
			return -1, 0
		}
		if t == tag {
			return at, r
		}
		at = after(at)
	}
}

// insert fills a slot for tag, and reports whether there was memory for it.
func (x *index) insert(tag uint32, first Ref, reserve int) bool {
	p := &x.pages[x.bucket(tag).page]
	for p.count >= pageFull && x.split(tag, reserve) {
		p = &x.pages[x.bucket(tag).page]
	}
	if p.count >= pageMost {
		return false
	}
	p.count++
	x.place(tag, first)
	return true
}

// place fills the first free slot for tag on its page.
func (x *index) place(tag uint32, first Ref) {
	at := x.home(tag)
	for {
		if _, r := x.slot(at); r == 0 {
			break
		}
		at = after(at)
	}
	x.set(at, tag, first)
}

// remove empties the slot and moves those behind it up, so that no search stops short. It may merge the page with
// another.
func (x *index) remove(at int) {
	own, _ := x.slot(at)
	hole := at
	for at = after(at); ; at = after(at) {
		tag, r := x.slot(at)
		if r == 0 {
			break
		}
		// It may move to the hole unless its home lies behind the hole. Distances are cyclic within the page.
		home := int(tag%pageSlots) * 8
		if (at-home)&(pageSize-1) >= (at-hole)&(pageSize-1) {
			x.set(hole, tag, r)
			hole = at
		}
	}
	x.set(hole, 0, 0)
	p := &x.pages[x.bucket(own).page]
	p.count--
	if p.count <= mergeMost && p.depth > 0 {
		x.merge(own)
	}
}

// split divides the page of tag by one more bit. It reports false if there is no memory, or if the directory would
// become too large.
func (x *index) split(tag uint32, reserve int) bool {
	old := x.bucket(tag)
	depth := x.pages[old.page].depth
	if int(depth) >= bits.Len(uint(len(x.pages)))+spareDepth || depth >= maxDepth {
		return false
	}
	upper, ok := x.addPage(reserve)
	if !ok {
		return false
	}
	if depth == x.depth {
		x.deepen()
	}
	depth++
	lower := &x.pages[old.page]
	lower.depth = depth
	x.pages[upper.page] = page{depth: depth, from: lower.from | 1<<(32-depth)}
	x.atDepth[depth-1]--
	x.atDepth[depth] += 2
	x.lead(upper)

	moved := x.takeAll(old)
	lower.count = 0
	for _, v := range moved {
		if v != 0 {
			t := uint32(v >> 32)
			x.place(t, Ref(v))
			x.pages[x.bucket(t).page].count++
		}
	}
	return true
}

// lead makes all elements of the directory that belong to a page's range lead to it.
func (x *index) lead(to bucket) {
	p := x.pages[to.page]
	first := uint64(p.from) >> ((32 - x.depth) & 63)
	span := uint64(1) << (x.depth - p.depth)
	for i := first; i < first+span; i++ {
		x.dir[i] = to
	}
}

// takeAll empties a page and returns what was in its slots.
func (x *index) takeAll(b bucket) (slots [pageSlots]uint64) {
	mem := x.mem[int(b.base)*pageSize:][:pageSize]
	for i := range slots {
		slots[i] = binary.LittleEndian.Uint64(mem[8*i:])
	}
	clear(mem)
	return slots
}

// deepen doubles the directory.
func (x *index) deepen() {
	dir := make([]bucket, 2*len(x.dir))
	for i, p := range x.dir {
		dir[2*i], dir[2*i+1] = p, p
	}
	x.dir = dir
	x.depth++
}

const chunkPages = chunkSize / pageSize

// addPage makes an empty page behind the last one. Nothing leads to it yet.
func (x *index) addPage(reserve int) (b bucket, ok bool) {
	number := len(x.pages)
	if number == len(x.chunks)*chunkPages {
		chunk, ok := x.arena.take(reserve)
		if !ok {
			return bucket{}, false
		}
		x.chunks = append(x.chunks, chunk)
	}
	x.pages = append(x.pages, page{})
	b = x.bucketOf(number)
	clear(x.mem[int(b.base)*pageSize:][:pageSize])
	return b, true
}

// bucketOf returns the bucket that leads to a page, by its number.
func (x *index) bucketOf(number int) bucket {
	return bucket{base: x.chunks[number/chunkPages]*chunkPages + uint32(number%chunkPages), page: uint32(number)}
}

// span returns the first tag of the page of tag, and the one behind its last.
func (x *index) span(tag uint32) (first, end uint64) {
	p := x.pages[x.bucket(tag).page]
	first = uint64(p.from)
	return first, first + 1<<((32-p.depth)&63)
}

// init makes the first page.
func (x *index) init(a *arena) error {
	x.mem, x.arena = a.mem, a
	b, ok := x.addPage(0)
	if !ok {
		return errNoMemory
	}
	x.dir = []bucket{b}
	x.atDepth[0] = 1
	return nil
}
