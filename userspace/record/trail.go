package record

import "binrepd/userspace/datagram"

// Trail is what a worker leaves behind it: all that it was done with, to be read once more, where that lies in memory that can be given back later.
// The worker copies nothing then. ring.Tail is one.
type Trail interface {
	// Receive empties b and fills it with views of what comes next, with nothing if there is nothing. It doesn't wait. missed is how many
	// datagrams before those of b are gone, because nobody read them in time.
	Receive(b *datagram.Batch) (missed uint64)
	// Release gives back what b has. It follows Receive unless b is empty. It reports whether the payloads were what they should be until now.
	Release(b *datagram.Batch) (intact bool)
}

// trailBatch is how many datagrams of a trail are lent out at once.
const trailBatch = 64

// sheet is where blocks of trails are laid down, as in a chunk of a tap. The same few pages go around, and stay in the cache.
type sheet struct {
	blocks    []byte
	datagrams int
}

func (s *sheet) clear() { s.blocks, s.datagrams = s.blocks[:0], 0 }

// lay appends the blocks of a batch.
func (s *sheet) lay(batch []datagram.Datagram, moulds []mould) {
	for i := range batch {
		d := &batch[i]
		m := &moulds[d.Listener]
		from, n := len(s.blocks), m.length(len(d.Payload))
		if from+n > cap(s.blocks) { // at the beginning, and for payloads of unusual size
			s.blocks = append(make([]byte, 0, max(2*cap(s.blocks), 2*chunkSize)+n), s.blocks...)
		}
		s.blocks = s.blocks[:from+n]
		m.cast(s.blocks[from:], d)
	}
	s.datagrams += len(batch)
}

// followed is a trail, and whether the disk has been refusing since it was read last: what it missed is the disk's fault then.
type followed struct {
	Trail
	refused bool
}

// follow writes some of what a trail has, and returns how many bytes that were. What the disk refused stays on the sheet for the next time.
func (r *Recorder) follow(t *followed) (bytes int, err error) {
	s := &r.sheet
	for len(s.blocks) < chunkSize {
		why := slowDisk
		if t.refused {
			why = diskError
		}
		r.missed[why].Add(t.Receive(r.batch))
		t.refused = false
		n := len(r.batch.Datagrams)
		if n == 0 {
			break
		}
		before := *s
		s.lay(r.batch.Datagrams, r.moulds)
		if !t.Release(r.batch) {
			s.blocks, s.datagrams = s.blocks[:len(before.blocks)], before.datagrams
			r.missed[slowDisk].Add(uint64(n))
		}
	}
	bytes = len(s.blocks)
	if bytes == 0 {
		return 0, nil
	}
	if err := r.put(s.blocks); err != nil {
		return 0, err
	}
	r.written(s.datagrams, bytes)
	s.clear()
	return bytes, nil
}

// skip counts what a trail has left when nobody will write it any more.
func (r *Recorder) skip(t *followed) {
	for {
		missed := t.Receive(r.batch)
		n := len(r.batch.Datagrams)
		r.missed[atStop].Add(missed + uint64(n))
		if n == 0 {
			return
		}
		t.Release(r.batch)
	}
}
