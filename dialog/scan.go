package dialog

// Cursor is a place in a scan. The zero value is the beginning.
type Cursor struct {
	shard int
	tag   uint64 // the next one to be visited
}

// scanMost is how many entries one step visits, unless a single Call-ID has more.
const scanMost = 512

// Scan calls fn for the next few hundred entries, tombstones among them, under one shard's lock, and moves the cursor. It tells
// whether there may be more. An entry that is there from the first step to the last is visited exactly once, whatever
// happens to it meanwhile; one that comes or goes may be visited or not.
//
// That holds because a scan goes by tag, which never changes, and not by place in memory. A step covers a range of tags: those of one page of
// the index, or if these have too many entries a part of them.
func (t *Table) Scan(cur *Cursor, fn func(*View)) (more bool) {
	if cur.shard >= len(t.shards) {
		return false
	}
	s := t.Lock(cur.shard)
	end := s.scan(cur.tag, fn)
	s.Unlock()
	if cur.tag = end; end>>32 != 0 {
		cur.shard, cur.tag = cur.shard+1, 0
	}
	return cur.shard < len(t.shards)
}

func (s *Shard) scan(from uint64, fn func(*View)) (end uint64) {
	_, end = s.index.span(uint32(from))
	for s.entries(from, end) > scanMost && end-from > 1 {
		end = from + (end-from)/2
	}
	s.eachChain(from, end, func(r ref) {
		for r != 0 {
			s.view.rec = s.slab.record(r)
			r = s.view.rec.next()
			fn(&s.view)
		}
	})
	return end
}

// entries counts those with tags in a range that lies within one page. It goes on counting only until it is too many.
func (s *Shard) entries(from, end uint64) (n int) {
	s.eachChain(from, end, func(r ref) {
		for ; r != 0 && n <= scanMost; r = s.slab.header(r).next() {
			n++
		}
	})
	return n
}

func (s *Shard) eachChain(from, end uint64, fn func(ref)) {
	base := int(s.index.bucket(uint32(from)).base) * pageSize
	for at := base; at < base+pageSize; at += 8 {
		if tag, r := s.index.slot(at); r != 0 && uint64(tag) >= from && uint64(tag) < end {
			fn(r)
		}
	}
}
