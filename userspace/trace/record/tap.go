package record

import (
	"math"
	"sync/atomic"

	"binrepd/userspace/in/packets"
)

const (
	// chunkSize is the maximum size of one write to the file. A chunk has room for several of the largest blocks, and
	// the change to another chunk costs almost nothing. It is so small that the few chunks in use at usual rates stay
	// in the cache.
	chunkSize = 128 << 10
	// DefaultBuffer is the size of a tap's buffer. At 100,000 datagrams of 400 bytes a second it covers a disk that
	// stalls for 0.4 s.
	DefaultBuffer = 16 << 20
)

// reason is why a datagram was dropped.
type reason uint8

const (
	slowDisk reason = iota // the buffer is full because the disk is too slow
	diskError
	atStop // was in the buffer at the end and could not be written
	reasons
)

var reasonNames = [reasons]string{"slow_disk", "disk_error", "at_stop"}

// Tap takes the datagrams of one worker. The worker writes and the writer goroutine drains it, without a lock. A chunk
// belongs to the worker from the time that it takes a free one until it moves on to the next. Published parts of a
// chunk don't change any more.
//
// When the buffer is full, the newest datagrams are dropped: the older ones must be written in order anyway.
type Tap struct {
	templates []blockTemplate
	memory    []byte // the chunks, one after another

	// Only the worker uses the following.
	chunk   []byte // the chunk that it writes, nil before the first
	number  uint32 // of the chunk
	used    int    // bytes used in it
	count   int    // datagrams in it
	taken   uint64 // number of chunks taken so far
	kept    uint64 // datagrams copied so far
	dropped [reasons]uint64

	_ [64]byte // keeps the worker's fields out of the cache lines of the shared fields

	// filled is the fill of each chunk: datagrams << 32
	// bytes. The value free marks a chunk that the worker may take.
	filled []atomic.Uint64
	// order holds the numbers of the chunks: the nth chunk taken is at index n modulo its length. ordered is how many
	// were taken.
	order   []atomic.Uint32
	ordered atomic.Uint64
	copied  atomic.Uint64 // kept, as published
	failing *atomic.Bool  // true while the disk has errors
	drops   [reasons]atomic.Uint64

	_ [64]byte

	// Only the writer uses the following.
	drained uint64 // number of chunks that are finished
	done    int    // bytes written of the next chunk
	doneN   int    // datagrams written of it

	left atomic.Uint64 // datagrams that the writer has taken
}

const free = math.MaxUint64

// newTap returns a tap that uses memory, in whole chunks. The pages of memory should already exist, so that the worker
// causes no page faults.
func newTap(templates []blockTemplate, memory []byte, failing *atomic.Bool) *Tap {
	n := len(memory) / chunkSize
	t := &Tap{
		templates: templates, memory: memory, failing: failing,
		filled: make([]atomic.Uint64, n), order: make([]atomic.Uint32, n),
	}
	for i := range t.filled {
		t.filled[i].Store(free)
	}
	return t
}

// Record copies the datagrams of one batch. It implements engine.Recorder. A packet of an intake
// that is no listener did not come as a datagram: it is skipped.
func (t *Tap) Record(batch []packets.Packet) {
	for i := range batch {
		d := &batch[i]
		if int(d.Intake) >= len(t.templates) {
			continue
		}
		m := &t.templates[d.Intake]
		b := t.room(m.length(len(d.Payload)))
		if b == nil {
			t.dropFull(1)
			continue
		}
		m.encode(b, d)
		t.count++
		t.kept++
	}
	t.copied.Store(t.kept) // before the writer sees them, so that it never has written more than were copied
	t.publish()
}

// publish makes the copied datagrams visible to the writer.
func (t *Tap) publish() {
	if t.chunk != nil {
		t.filled[t.number].Store(uint64(t.count)<<32 | uint64(t.used))
	}
}

// room returns n bytes for a block, or nil if the buffer is full.
func (t *Tap) room(n int) []byte {
	if n > len(t.chunk)-t.used && !t.next() {
		return nil
	}
	b := t.chunk[t.used : t.used+n]
	t.used += n
	return b
}

// next moves on to a free chunk, and returns false if there is none. It takes the free chunk with the lowest
// number, so that at usual rates the same few chunks are reused and stay in the cache.
func (t *Tap) next() bool {
	for i := range t.filled {
		if t.filled[i].Load() != free {
			continue
		}
		t.publish()
		t.number, t.used, t.count = uint32(i), 0, 0
		t.chunk = t.memory[i*chunkSize:][:chunkSize:chunkSize]
		t.filled[i].Store(0)
		t.order[t.taken%uint64(len(t.order))].Store(t.number)
		t.taken++
		t.ordered.Store(t.taken)
		return true
	}
	return false
}

// dropFull counts packets for which the buffer has no room.
func (t *Tap) dropFull(packets uint64) {
	why := slowDisk
	if t.failing.Load() {
		why = diskError
	}
	t.dropped[why] += packets
	t.drops[why].Store(t.dropped[why])
}

// pending returns the published but not yet taken part of the oldest chunk, and its number of datagrams. It returns nil
// if there is none. Only the writer calls pending and take.
func (t *Tap) pending() (blocks []byte, datagrams int) {
	for {
		ordered := t.ordered.Load()
		if ordered == t.drained {
			return nil, 0
		}
		number := t.order[t.drained%uint64(len(t.order))].Load()
		filled := t.filled[number].Load() // load this after ordered: if there is a newer chunk, this value is final
		if size := int(uint32(filled)); size > t.done {
			return t.memory[int(number)*chunkSize:][t.done:size], int(filled>>32) - t.doneN
		}
		if ordered == t.drained+1 {
			return nil, 0 // the worker still writes to this chunk
		}
		t.drained++
		t.done, t.doneN = 0, 0
		t.filled[number].Store(free)
	}
}

// take gives back what pending returned.
func (t *Tap) take(blocks []byte, datagrams int) {
	t.done += len(blocks)
	t.doneN += datagrams
	t.left.Add(uint64(datagrams))
}

// waiting is how many datagrams are in the buffer.
func (t *Tap) waiting() uint64 {
	left := t.left.Load() // before copied, which is ahead of it
	copied := t.copied.Load()
	return copied - min(left, copied)
}
