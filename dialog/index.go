package dialog

import (
	"encoding/binary"
	"math/bits"
)

// The index of a shard leads from a tag, the 32-bit hash of a Call-ID, to the chain of that Call-ID's records. It is
// extendible hashing (Fagin and others, "Extendible hashing: a fast access method for dynamic files", 1979):
//
//	directory, by the tag's first bits      pages of 4 KiB: 512 slots, found by the tag's last 9 bits,
//	   00 --> page 0                        linear probing inside the page
//	   01 --> page 2                        slot: tag << 32 | ref of the first record, 0 empty
//	   10 --> page 1
//	   11 --> page 1
//
// A page that is full is split in two by one more bit, and that is all that growing costs at once. Pages never
// merge. Each covers one range of tags, and page boundaries stay boundaries: the ground that a scan walks on.
const (
	pageSlots = 512
	pageSize  = pageSlots * 8
	pageFull  = pageSlots * 3 / 4 // split from here on; fuller ones make the search for what is not there long
	pageMost  = pageSlots - 1     // one slot stays empty, so that probing ends
	// spareDepth bounds the directory to 2^spareDepth entries a page, should tags be equal in many bits and splitting be of no use.
	spareDepth = 6
)

type index struct {
	mem   []byte
	arena *arena
	depth uint8
	dir   []entry // 2^depth
	pages []page
	next  int // offset of unused pages in a chunk, and their end
	end   int
}

type entry struct {
	base uint32 // of the page: its offset in the arena, in pages
	page uint32 // its number
}

type page struct {
	count uint16
	depth uint8 // how many of the tags' first bits are the same on this page
}

// bucket is the directory entry for tag.
func (x *index) bucket(tag uint32) entry {
	return x.dir[uint64(tag)>>((32-x.depth)&63)]
}

// home is the offset in the arena of the slot at which the search for tag begins.
func (x *index) home(tag uint32) int {
	return int(x.bucket(tag).base)*pageSize + int(tag%pageSlots)*8
}

// after is the slot behind at, on the same page.
func after(at int) int { return at&^(pageSize-1) | (at+8)&(pageSize-1) }

// slot returns what is in the slot at that offset.
func (x *index) slot(at int) (tag uint32, first ref) {
	v := binary.LittleEndian.Uint64(x.mem[at:])
	return uint32(v >> 32), ref(v)
}

func (x *index) set(at int, tag uint32, first ref) {
	binary.LittleEndian.PutUint64(x.mem[at:], uint64(tag)<<32|uint64(first))
}

// insert puts a slot for tag, and tells whether there was memory for it.
func (x *index) insert(tag uint32, first ref, keep int) bool {
	p := &x.pages[x.bucket(tag).page]
	for p.count >= pageFull && x.split(tag, keep) {
		p = &x.pages[x.bucket(tag).page]
	}
	if p.count >= pageMost {
		return false
	}
	p.count++
	x.place(tag, first)
	return true
}

func (x *index) place(tag uint32, first ref) {
	at := x.home(tag)
	for {
		if _, r := x.slot(at); r == 0 {
			break
		}
		at = after(at)
	}
	x.set(at, tag, first)
}

// remove empties the slot and moves those behind it up, so that no search stops short.
func (x *index) remove(at int) {
	tag, _ := x.slot(at)
	x.pages[x.bucket(tag).page].count--
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
}

// split divides the page of tag by one more bit. It tells false if there is no memory, or if the directory would become too large.
func (x *index) split(tag uint32, keep int) bool {
	old := x.bucket(tag)
	depth := x.pages[old.page].depth
	if int(depth) >= bits.Len(uint(len(x.pages)))+spareDepth || depth >= 32 {
		return false
	}
	base, ok := x.newPage(keep)
	if !ok {
		return false
	}
	if depth == x.depth {
		x.deepen()
	}
	depth++
	upper := entry{base: base, page: uint32(len(x.pages))}
	x.pages = append(x.pages, page{depth: depth})
	x.pages[old.page].depth = depth

	// The upper half of the directory entries that led to the old page lead to the new one.
	span := 1 << (x.depth - depth)
	first := int(uint64(tag)>>((32-depth)&63)|1) * span
	for i := first; i < first+span; i++ {
		x.dir[i] = upper
	}

	var moved [pageSlots]uint64
	from := x.mem[int(old.base)*pageSize:][:pageSize]
	for i := range moved {
		moved[i] = binary.LittleEndian.Uint64(from[8*i:])
	}
	clear(from)
	x.pages[old.page].count = 0
	for _, v := range moved {
		if v != 0 {
			t := uint32(v >> 32)
			x.place(t, ref(v))
			x.pages[x.bucket(t).page].count++
		}
	}
	return true
}

// deepen doubles the directory.
func (x *index) deepen() {
	dir := make([]entry, 2*len(x.dir))
	for i, p := range x.dir {
		dir[2*i], dir[2*i+1] = p, p
	}
	x.dir = dir
	x.depth++
}

// newPage returns an empty page: its offset in the arena in pages.
func (x *index) newPage(keep int) (base uint32, ok bool) {
	if x.next == x.end {
		chunk, ok := x.arena.take(keep)
		if !ok {
			return 0, false
		}
		x.next = int(chunk) * chunkSize
		x.end = x.next + chunkSize
	}
	at := x.next
	x.next += pageSize
	clear(x.mem[at : at+pageSize])
	return uint32(at / pageSize), true
}

// span returns the first tag of the page of tag, and the one behind its last.
func (x *index) span(tag uint32) (first, end uint64) {
	size := uint64(1) << ((32 - x.pages[x.bucket(tag).page].depth) & 63)
	first = uint64(tag) &^ (size - 1)
	return first, first + size
}

// init makes the first page.
func (x *index) init(a *arena) error {
	x.mem, x.arena = a.mem, a
	base, ok := x.newPage(0)
	if !ok {
		return errNoMemory
	}
	x.dir = []entry{{base: base}}
	x.pages = make([]page, 1)
	return nil
}

// guess returns the chain of the first slot with this tag from at on, without looking whether it is the right one; 0 for none.
func (x *index) guess(at int, tag uint32) ref {
	for {
		t, r := x.slot(at)
		if r == 0 || t == tag {
			return r
		}
		at = after(at)
	}
}
