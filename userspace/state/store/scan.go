package store

// Cursor is a place in a scan. The zero value is the beginning.
type Cursor struct {
	shard int
	tag   uint64 // the next one to be visited
}

// Bounds of one step of a scan, unless a single chain has more.
const (
	// ScanMost is how many entries one step visits.
	ScanMost = 512
	// ScanBytes is how much memory the entries of one step use: a copy of 1 MiB takes about 0.2 ms. 512 entries of the
	// usual size are below it.
	ScanBytes = 1 << 20
)

// Scan calls visit for the next entries, at most ScanMost that use at most ScanBytes unless one chain has more, under one
// shard's lock, and moves the cursor. It reports whether there may be more. An entry that is there from the first step to the last is visited
// exactly once, whatever happens to it meanwhile. An entry that comes or goes may be visited or not.
//
// That holds because a scan goes by tag, which never changes, and not by place in memory. A step covers a range of
// tags: the rest of those of one page of the index, or a part of them if they have too many entries.
func (t *Shards[S]) Scan(cur *Cursor, visit func(*S, Entry)) (more bool) {
	if cur.shard >= len(t.list) {
		return false
	}
	s := t.Lock(cur.shard)
	p := t.model.Part(s)
	var heads [pageSlots]uint64
	n, end := p.chains(cur.tag, &heads)
	for _, at := range heads[:n] {
		for e := Entry(p.slab.mem[at:]); ; {
			next := e.Next() // before visit, which may write to the entry
			visit(s, e)
			if next == 0 {
				break
			}
			e = p.Entry(next)
		}
	}
	t.model.Unlock(s)
	if cur.tag = end; end>>32 != 0 {
		cur.shard, cur.tag = cur.shard+1, 0
	}
	return cur.shard < len(t.list)
}

// chains finds the chains of a step that begins with tag from: the offsets of their first entries, how many they are,
// and the tag at which the next step begins, 1<<32 if this step is the shard's last.
func (s *Shard) chains(from uint64, heads *[pageSlots]uint64) (n int, end uint64) {
	_, end = s.index.span(uint32(from))
	for {
		n = s.heads(from, end, heads)
		prefetchLines(s.slab.mem, heads[:n])
		if end-from <= 1 || !s.tooMany(heads[:n]) {
			return n, end
		}
		end = from + (end-from)/2
	}
}

// heads finds the first entries of the chains with tags in a range that lies within one page.
func (s *Shard) heads(from, end uint64, heads *[pageSlots]uint64) (n int) {
	base := int(s.index.bucket(uint32(from)).base) * pageSize
	for at := base; at < base+pageSize; at += 8 {
		if tag, r := s.index.slot(at); r != 0 && uint64(tag) >= from && uint64(tag) < end {
			heads[n] = uint64(r) * refUnit
			n++
		}
	}
	return n
}

// tooMany reports whether the chains have more entries, or larger ones, than one step visits.
func (s *Shard) tooMany(heads []uint64) bool {
	n, size := 0, 0
	for _, at := range heads {
		for e := Entry(s.slab.mem[at:]); ; e = s.Entry(e.Next()) {
			n++
			size += s.slab.slotSize(e)
			if n > ScanMost || size > ScanBytes {
				return true
			}
			if e.Next() == 0 {
				break
			}
		}
	}
	return false
}
