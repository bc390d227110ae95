package store

import "slices"

// How the index shrinks. Two pages of the same depth whose ranges differ in one bit only can become one page again.
// That happens when both together hold at most mergeMost slots.
//
// Nothing goes back and forth: a page that was just split holds at least pageFull slots in its two halves, so pageFull
// - mergeMost of them have to go before the halves merge. A page that was just merged needs as many new ones before it
// splits.
//
// The pages of an index lie densely in its chunks. When a page becomes free, the last page moves to its place, so that
// whole chunks become free and go back to the arena.
const (
	mergeMost = pageSlots / 4
	// spareAfterDrop is how many free pages stay after a chunk went back. So many splits have to come before the index
	// needs a chunk again, and so many merges before it gives that back.
	spareAfterDrop = chunkPages / 2
)

// merge merges the page of tag with its neighbour, and the result with the next, as long as they hold little.
func (x *index) merge(tag uint32) {
	merged := false
	for {
		own := x.bucket(tag)
		p := &x.pages[own.page]
		if p.depth == 0 {
			break
		}
		bit := uint32(1) << (32 - p.depth)
		other := x.bucket(tag ^ bit)
		q := &x.pages[other.page]
		if q.depth != p.depth || p.count+q.count > mergeMost {
			break
		}
		if tag&bit == 0 {
			x.join(own, other)
		} else {
			x.join(other, own)
		}
		merged = true
	}
	if merged {
		x.shrinkDirectory()
	}
}

// join moves everything from the upper page of a pair to the lower one and drops the upper page.
func (x *index) join(lower, upper bucket) {
	p, q := &x.pages[lower.page], &x.pages[upper.page]
	x.atDepth[p.depth] -= 2
	p.depth--
	x.atDepth[p.depth]++
	p.count += q.count
	x.lead(lower)
	if q.count > 0 {
		for _, v := range x.takeAll(upper) {
			if v != 0 {
				x.place(uint32(v>>32), Ref(v))
			}
		}
	}
	x.dropPage(upper)
}

// dropPage removes a page to which nothing leads any more. The first page stays, and so does its chunk: chunk 0 of an
// arena never leaves the index of the first shard.
func (x *index) dropPage(gone bucket) {
	last := len(x.pages) - 1
	if int(gone.page) != last {
		from := x.bucketOf(last)
		copy(x.mem[int(gone.base)*pageSize:][:pageSize], x.mem[int(from.base)*pageSize:][:pageSize])
		x.pages[gone.page] = x.pages[last]
		x.lead(gone)
	}
	x.pages = trim(x.pages[:last])
	if len(x.chunks)*chunkPages-last >= chunkPages+spareAfterDrop {
		end := len(x.chunks) - 1
		x.arena.put(x.chunks[end])
		x.chunks = trim(x.chunks[:end])
	}
}

// shrinkDirectory halves the directory until it has one spare level. Without that level, one page that splits and
// merges would double and halve the directory each time.
func (x *index) shrinkDirectory() {
	deepest := x.depth
	for x.atDepth[deepest] == 0 {
		deepest--
	}
	if x.depth-deepest < 2 {
		return
	}
	depth := deepest + 1
	dir := make([]bucket, 1<<depth)
	for i := range dir {
		dir[i] = x.dir[i<<(x.depth-depth)]
	}
	x.dir, x.depth = dir, depth
}

// trim gives memory of the heap back when three quarters of it are unused.
func trim[T any](list []T) []T {
	if cap(list) > 4*max(len(list), 64) {
		return slices.Clone(list)
	}
	return list
}
