package record

import (
	"math"
	"sync/atomic"

	"binrepd/userspace/in/packets"
)

const (
	// chunkSize is how much goes to the file by one system call at most: some of the largest blocks, and so few chunks that moving on to
	// another one costs nothing, yet so small that the few that are in use at usual rates stay in the cache.
	chunkSize = 128 << 10
	// DefaultBuffer is the size of a tap's buffer. It bridges a disk that stalls for 0.4 s at 100,000 datagrams of 400 bytes a second.
	DefaultBuffer = 16 << 20
)

// reason is why a datagram was dropped.
type reason uint8

const (
	slowDisk reason = iota // the buffer is full because the disk doesn't keep pace
	diskError
	atStop // was in the buffer at the end, and could not be written
	reasons
)

var reasonNames = [reasons]string{"slow_disk", "disk_error", "at_stop"}

// Tap takes what one worker shows it. The worker writes, and the writer goroutine drains, without a lock: a chunk belongs to the worker
// from when it finds it free until it moves on to another one, and what the worker has published of it doesn't change any more.
//
// When the buffer is full the newest are dropped: what is there already has to be written anyway, and in order.
type Tap struct {
	moulds []mould
	memory []byte // the chunks, one behind another

	// The worker's.
	chunk   []byte // that it writes, nil before the first
	number  uint32 // of the chunk
	used    int    // bytes of it
	count   int    // datagrams in it
	taken   uint64 // chunks so far
	dropped [reasons]uint64

	_ [64]byte // what both write lies apart, so that neither waits for the other's cache line

	// filled is how far each chunk is filled, datagrams << 32 | bytes; free is a chunk that the worker may take.
	filled []atomic.Uint64
	// order holds the numbers of the chunks, that of the one taken as nth at n modulo its length, and ordered is how many were taken.
	order   []atomic.Uint32
	ordered atomic.Uint64
	failing *atomic.Bool // whether the writer has trouble with the disk
	drops   [reasons]atomic.Uint64

	_ [64]byte

	// The writer's.
	drained uint64 // chunks that are done with
	done    int    // bytes of the next one
	doneN   int    // datagrams of it
}

const free = math.MaxUint64

// newTap returns a tap over memory, of which it takes whole chunks. memory is zero or has at least been written to: the worker shouldn't meet
// pages that the system has yet to find.
func newTap(moulds []mould, memory []byte, failing *atomic.Bool) *Tap {
	n := len(memory) / chunkSize
	t := &Tap{
		moulds: moulds, memory: memory, failing: failing,
		filled: make([]atomic.Uint64, n), order: make([]atomic.Uint32, n),
	}
	for i := range t.filled {
		t.filled[i].Store(free)
	}
	return t
}

// Record lays down the datagrams of one batch. It implements engine.Recorder. What came by another intake than a listener is no datagram,
// and is passed over.
func (t *Tap) Record(batch []packets.Packet) {
	for i := range batch {
		d := &batch[i]
		if int(d.Intake) >= len(t.moulds) {
			continue
		}
		m := &t.moulds[d.Intake]
		n := m.length(len(d.Payload))
		if n > len(t.chunk)-t.used && !t.next() {
			continue
		}
		m.cast(t.chunk[t.used:t.used+n], d)
		t.used += n
		t.count++
	}
	t.publish()
}

// publish lets the writer see what was laid down.
func (t *Tap) publish() {
	if t.chunk != nil {
		t.filled[t.number].Store(uint64(t.count)<<32 | uint64(t.used))
	}
}

// next moves on to a free chunk. If there is none, one datagram is dropped. The free one with the lowest number is taken, so that at usual
// rates the same few go around, and stay in the cache.
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
	if t.failing.Load() {
		t.drop(diskError)
	} else {
		t.drop(slowDisk)
	}
	return false
}

func (t *Tap) drop(why reason) {
	t.dropped[why]++
	t.drops[why].Store(t.dropped[why])
}

// pending returns what has been published but not taken, of the oldest chunk, and how many datagrams that are; nil if there is nothing. It is
// the writer's, as is take.
func (t *Tap) pending() (blocks []byte, datagrams int) {
	for {
		ordered := t.ordered.Load()
		if ordered == t.drained {
			return nil, 0
		}
		number := t.order[t.drained%uint64(len(t.order))].Load()
		filled := t.filled[number].Load() // behind ordered: if there is another chunk already, this one is final
		if size := int(uint32(filled)); size > t.done {
			return t.memory[int(number)*chunkSize:][t.done:size], int(filled>>32) - t.doneN
		}
		if ordered == t.drained+1 {
			return nil, 0 // the worker is at it
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
}
