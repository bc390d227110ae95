package ring

import (
	"errors"
	"sync/atomic"
)

// Header of a record: length, with two bits, and a word that only the kernel uses.
const (
	headerSize = 8
	busyBit    = 1 << 31
	discardBit = 1 << 30
)

// errCorrupt says that a header can't be right. Only broken memory or a broken kernel gets there.
var errCorrupt = errors.New("ring buffer: a record reaches past the producer's position")

// ring walks the records of a ring buffer. It belongs to one goroutine.
type ring struct {
	data     []byte         // the ring's pages, twice in a row
	mask     uint64         // size of the ring - 1
	producer *atomic.Uint64 // only the kernel writes it
	consumer *atomic.Uint64 // only we write it

	next uint64 // where to read on
	end  uint64 // the producer's position when last looked at
	warm uint64 // what lies before has been drawn into the caches
	seen byte   // keeps the loads for that from being optimised away
}

// Before the walk comes within warmLeast of what is warm, draw draws the next warmStep into the caches.
const (
	warmLeast = 2 << 10
	warmStep  = 4 << 10
	cacheLine = 64
)

// newRing starts at the consumer's position. data is twice the size of the ring, a power of two.
func newRing(data []byte, producer, consumer *atomic.Uint64) ring {
	r := ring{data: data, mask: uint64(len(data)/2 - 1), producer: producer, consumer: consumer}
	r.next = consumer.Load()
	r.end = r.next
	return r
}

// look reads the producer's position and reports whether there is anything before it, ready or not.
func (r *ring) look() bool {
	r.end = r.producer.Load()
	return r.end != r.next
}

// take returns the next sample up to limit, a view, or nil if there is none that is ready.
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
		// The kernel never lets more than a ring lie between the positions, so that the view lies within data.
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

// draw reads something of every cache line that comes next. Where a header lies is known only when the one before it has been
// read, so that a walk over what no cache holds would wait for one line after the other; here nothing depends on what is read, and the
// misses overlap. All of it is read again, sooner or later.
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
