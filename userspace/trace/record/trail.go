package record

import (
	"encoding/binary"

	"binrepd/userspace/in/packets"
)

// Trail gives access to the datagrams that a worker has finished with, so that they can be read a second time. It is
// for memory that can be given back later. The worker then copies nothing. ring.Tail is a Trail.
type Trail interface {
	// Receive empties b and fills it with views of the next datagrams, if there are any. It doesn't wait. missed is how
	// many datagrams before those of b are lost because nobody read them in time.
	Receive(b *packets.Batch) (missed uint64)
	// Release gives the datagrams of b back. It must follow Receive unless b is empty. It returns false if the payloads
	// were overwritten in the meantime.
	Release(b *packets.Batch) (intact bool)
	// Room is how many bytes may wait there.
	Room() int
}

// trailBatch is how many datagrams of a trail are borrowed at once.
const trailBatch = 64

// blockQueue holds encoded blocks of trails that are to be written. The same few pages are reused and stay in the
// cache.
type blockQueue struct {
	blocks []byte
	done   int // bytes of it that are written
	count  int // datagrams that are not written
}

// add encodes a batch and appends its blocks.
func (s *blockQueue) add(batch []packets.Packet, templates []blockTemplate) {
	for i := range batch {
		d := &batch[i]
		if int(d.Intake) >= len(templates) {
			continue
		}
		m := &templates[d.Intake]
		from, n := len(s.blocks), m.length(len(d.Payload))
		if from+n > cap(s.blocks) { // at the start, and for payloads of unusual size
			s.blocks = append(make([]byte, 0, max(2*cap(s.blocks), 2*chunkSize)+n), s.blocks...)
		}
		s.blocks = s.blocks[:from+n]
		m.encode(s.blocks[from:], d)
		s.count++
	}
}

// next returns unwritten blocks, at most as many as go to the file in one write, and their number of datagrams.
func (s *blockQueue) next() (blocks []byte, datagrams int) {
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

// written removes the blocks that next returned, with this many datagrams.
func (s *blockQueue) written(blocks []byte, datagrams int) {
	s.count -= datagrams
	if s.done += len(blocks); s.done == len(s.blocks) {
		s.blocks, s.done = s.blocks[:0], 0
	}
}

// followed is a trail. refused is true if the disk has had errors since the trail was last read. Then a loss counts as
// an error of the disk.
type followed struct {
	Trail
	refused bool
}

// receive reads the next batch of a trail and counts what was missed before it.
func (r *Recorder) receive(t *followed) (datagrams int) {
	why := slowDisk
	if t.refused {
		why = diskError
	}
	r.missed[why].Add(t.Receive(r.batch))
	t.refused = false
	return len(r.batch.Packets)
}

// follow writes some data of a trail and returns the number of bytes. Blocks that the disk refused stay in the queue
// for the next try.
func (r *Recorder) follow(t *followed) (bytes int, err error) {
	s := &r.queue
	defer func() { r.queued.Store(uint64(s.count)) }()
	for len(s.blocks) < chunkSize {
		n := r.receive(t)
		if n == 0 {
			break
		}
		before, count := len(s.blocks), s.count
		s.add(r.batch.Packets, r.templates)
		if !t.Release(r.batch) {
			s.blocks, s.count = s.blocks[:before], count
			r.missed[slowDisk].Add(uint64(n))
		}
	}
	for len(s.blocks) > 0 {
		blocks, n := s.next()
		if err := r.put(blocks); err != nil {
			return bytes, err
		}
		s.written(blocks, n)
		r.written(n, len(blocks))
		bytes += len(blocks)
	}
	return bytes, nil
}

// discardTrails reads and discards the data of all trails, so that nothing waits there for a disk with errors. In this
// process it would take room, and the next process would get it again from pinned rings.
func (r *Recorder) discardTrails(why reason) {
	for i := range r.trails {
		t := &r.trails[i]
		for n := r.receive(t); n > 0; n = r.receive(t) {
			t.Release(r.batch)
			r.missed[why].Add(uint64(n))
		}
		t.refused = why == diskError
	}
}
