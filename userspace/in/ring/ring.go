package ring

import (
	"errors"
	"sync/atomic"
)

// Header of a record: the length with two flag bits, and a word that only the kernel uses.
const (
	headerSize = 8
	busyBit    = 1 << 31
	discardBit = 1 << 30
)

// errCorrupt says that a header can't be right. This happens only with broken memory or a broken kernel.
var errCorrupt = errors.New("ring buffer: a record reaches past the producer's position")

// ring walks the records of a ring buffer. It belongs to one goroutine.
type ring struct {
	data     []byte         // the ring's pages, twice in a row
	mask     uint64         // size of the ring - 1
	producer *atomic.Uint64 // only the kernel writes this value
	consumer *atomic.Uint64 // only we write this value

	next uint64 // position of the next record to read
	end  uint64 // the producer's position as last read
	warm uint64 // everything before this has been prefetched into the caches
	seen byte   // uses the prefetched bytes, so that the loads are not optimised away
}

// When less than warmLeast of prefetched data is left, draw prefetches the next warmStep bytes.
const (
	warmLeast = 2 << 10
	warmStep  = 4 << 10
	cacheLine = 64
)

// newRing starts at the consumer's position. data is twice the size of the ring, which is a power of two.
func newRing(data []byte, producer, consumer *atomic.Uint64) ring {
	r := ring{data: data, mask: uint64(len(data)/2 - 1), producer: producer, consumer: consumer}
	r.next = consumer.Load()
	r.end = r.next
	return r
}

// look reads the producer's position and reports whether there is any record before it, ready or not.
func (r *ring) look() bool {
	r.end = r.producer.Load()
	return r.end != r.next
}

// take returns a view of the next sample before limit, or nil if none is ready.
func (r *ring) take(limit uint64) ([]byte, error) {
	end := min(r.end, limit)
	if r.warm < end && r.warm < r.next+warmLeast {
		r.draw(end)
	}
	for r.next < end {
		at := r.next & r.mask
		head := loadUint32(r.data, at)
		if head&busyBit != 0 {
			return nil, nil
		}
		size := uint64(head &^ (busyBit | discardBit))
		step := (headerSize + size + 7) &^ 7
		// The kernel never lets the positions be more than a ring apart, so this check keeps the view within data.
		if left := r.end - r.next; step > left || left > r.mask+1 {
			return nil, errCorrupt
		}
		r.next += step
		if head&discardBit == 0 {
			at += headerSize
			return r.data[at : at+size : at+size], nil
		}
	}
	return nil, nil
}

// draw prefetches: it reads a byte of every cache line that comes next. A walk can find a header only after it has read
// the one before. So without prefetching it would wait for one cache miss after another. These loads don't depend on
// each other, so their misses overlap. The data will all be read again soon.
func (r *ring) draw(end uint64) {
	from := max(r.warm, r.next&^(cacheLine-1))
	r.warm = min(end, from+warmStep)
	seen := r.seen
	for at := from; at < r.warm; at += cacheLine {
		seen ^= r.data[at&r.mask]
	}
	r.seen = seen
}

// busy reports whether the next record is reserved but not submitted.
func (r *ring) busy() bool {
	return r.next < r.end && loadUint32(r.data, r.next&r.mask)&busyBit != 0
}
