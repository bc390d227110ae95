package record

import (
	"encoding/binary"

	"binrepd/userspace/in/packets"
)

// Trail is what a worker leaves behind it: all that it was done with, to be read once more, where that lies in memory that can be given back later.
// The worker copies nothing then. ring.Tail is one.
type Trail interface {
	// Receive empties b and fills it with views of what comes next, with nothing if there is nothing. It doesn't wait. missed is how many
	// datagrams before those of b are gone, because nobody read them in time.
	Receive(b *packets.Batch) (missed uint64)
	// Release gives back what b has. It follows Receive unless b is empty. It reports whether the payloads were what they should be until now.
	Release(b *packets.Batch) (intact bool)
	// Room is how many bytes may wait there.
	Room() int
}

// trailBatch is how many datagrams of a trail are lent out at once.
const trailBatch = 64

// sheet is where blocks of trails are laid down, as in a chunk of a tap. The same few pages go around, and stay in the cache.
type sheet struct {
	blocks []byte
	done   int // bytes of it that are written
}

// lay appends the blocks of a batch.
func (s *sheet) lay(batch []packets.Packet, moulds []mould) {
	for i := range batch {
		d := &batch[i]
		if int(d.Intake) >= len(moulds) {
			continue
		}
		m := &moulds[d.Intake]
		from, n := len(s.blocks), m.length(len(d.Payload))
		if from+n > cap(s.blocks) { // at the beginning, and for payloads of unusual size
			s.blocks = append(make([]byte, 0, max(2*cap(s.blocks), 2*chunkSize)+n), s.blocks...)
		}
		s.blocks = s.blocks[:from+n]
		m.cast(s.blocks[from:], d)
	}
}

// next returns as many blocks of what is not yet written as go to the file at once, and how many that are.
func (s *sheet) next() (blocks []byte, datagrams int) {
	rest, end := s.blocks[s.done:], 0
	for end < len(rest) {
		n := int(binary.LittleEndian.Uint32(rest[end+4:]))
		if end+n > chunkSize {
			break
		}
		end += n
		datagrams++
	}
	return rest[:end], datagrams
}

// written takes off what next returned.
func (s *sheet) written(blocks []byte) {
	if s.done += len(blocks); s.done == len(s.blocks) {
		s.blocks, s.done = s.blocks[:0], 0
	}
}

// followed is a trail, and whether the disk has been refusing since it was read last: what it missed is the disk's fault then.
type followed struct {
	Trail
	refused bool
}

// receive takes what comes next, and counts what was missed before it.
func (r *Recorder) receive(t *followed) (datagrams int) {
	why := slowDisk
	if t.refused {
		why = diskError
	}
	r.missed[why].Add(t.Receive(r.batch))
	t.refused = false
	return len(r.batch.Packets)
}

// follow writes some of what a trail has, and returns how many bytes that were. What the disk refused stays on the sheet for the next time.
func (r *Recorder) follow(t *followed) (bytes int, err error) {
	s := &r.sheet
	for len(s.blocks) < chunkSize {
		n := r.receive(t)
		if n == 0 {
			break
		}
		before := len(s.blocks)
		s.lay(r.batch.Packets, r.moulds)
		if !t.Release(r.batch) {
			s.blocks = s.blocks[:before]
			r.missed[slowDisk].Add(uint64(n))
		}
	}
	for len(s.blocks) > 0 {
		blocks, n := s.next()
		if err := r.put(blocks); err != nil {
			return bytes, err
		}
		s.written(blocks)
		r.written(n, len(blocks))
		bytes += len(blocks)
	}
	return bytes, nil
}

// letGo gives back what the trails have and nobody will write, so that nothing waits there for a disk that refuses: the next process would get
// it all once more from rings that are pinned, and in this one it takes room.
func (r *Recorder) letGo(why reason) {
	for i := range r.trails {
		t := &r.trails[i]
		for n := r.receive(t); n > 0; n = r.receive(t) {
			t.Release(r.batch)
			r.missed[why].Add(uint64(n))
		}
		t.refused = why == diskError
	}
}
