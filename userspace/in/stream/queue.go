package stream

import (
	"net"
	"sync"
	"sync/atomic"

	"binrepd/userspace/in/packets"
)

// run is what one read brought: whole packets that lie side by side in a block. It holds one reference to the block.
type run struct {
	block    *block
	from, to int
	received int64 // nanoseconds since the Unix epoch
	source   packets.Sender
	listener uint8
}

// queue is the bounded list of runs between the readers of all connections and the one consumer. When it is full, the
// newest run is dropped. A run instead of a packet is the unit, so that lock and wake-up are paid once per read.
type queue struct {
	mu      sync.Mutex
	filled  sync.Cond
	runs    []run // ring
	first   int
	count   int
	waiting bool
	closed  bool // nothing will come any more

	// The consumer's own: runs that it has taken, the one that it cuts, and the blocks that Release lets go.
	taken   [16]run
	next, n int
	held    []*block

	delivered struct{ packets, bytes atomic.Uint64 }
}

func (q *queue) init(size int) {
	q.runs = make([]run, size)
	q.filled.L = &q.mu
}

// push appends a run and tells whether there was room.
func (q *queue) push(r *run) bool {
	q.mu.Lock()
	if q.count == len(q.runs) || q.closed {
		q.mu.Unlock()
		return false
	}
	at := q.first + q.count
	if at >= len(q.runs) {
		at -= len(q.runs)
	}
	q.runs[at] = *r
	q.count++
	wake := q.waiting
	q.waiting = false
	q.mu.Unlock()
	if wake {
		q.filled.Signal()
	}
	return true
}

// light tells that at most half of the places are taken.
func (q *queue) light() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count <= len(q.runs)/2
}

// length returns how many runs wait.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count
}

// finish says that nothing will come any more.
func (q *queue) finish() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.filled.Broadcast()
}

// take moves runs to the consumer. It waits for the first one if asked to, and returns false if there is none.
func (q *queue) take(wait bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for wait && q.count == 0 && !q.closed {
		q.waiting = true
		q.filled.Wait()
	}
	q.next, q.n = 0, min(q.count, len(q.taken))
	for i := range q.n {
		r := &q.runs[q.first]
		q.taken[i] = *r
		r.block = nil
		if q.first++; q.first == len(q.runs) {
			q.first = 0
		}
	}
	q.count -= q.n
	return q.n > 0
}

// receive fills b.
func (q *queue) receive(b *packets.Batch, hash func([]byte, packets.Endpoint) uint32) error {
	list := b.Packets[:0]
	var bytes int
	for len(list) < cap(list) {
		if q.next == q.n && !q.take(len(list) == 0) {
			break
		}
		r := &q.taken[q.next]
		for buf := r.block.buf; r.from < r.to && len(list) < cap(list); {
			end := r.from + length(buf[r.from:])
			list = list[:len(list)+1]
			d := &list[len(list)-1]
			d.Payload = buf[r.from:end:end]
			d.Sender, d.Intake, d.Received, d.Hash = r.source, r.listener, r.received, 0
			if hash != nil {
				d.Hash = hash(d.Payload, r.source.Endpoint)
			}
			bytes += end - r.from
			r.from = end
		}
		if r.from == r.to {
			q.held = append(q.held, r.block)
			r.block = nil
			q.next++
		}
	}
	b.Packets = list
	if len(list) == 0 {
		return net.ErrClosed
	}
	q.delivered.packets.Add(uint64(len(list)))
	q.delivered.bytes.Add(uint64(bytes))
	return nil
}

// release lets go of the blocks behind the last batch.
func (q *queue) release(p *pool) {
	for i, b := range q.held {
		p.letGo(b)
		q.held[i] = nil
	}
	q.held = q.held[:0]
}

// discard drops what was never received and returns how much that was.
func (q *queue) discard(p *pool) (packets, bytes uint64) {
	q.release(p)
	for q.next < q.n || q.take(false) {
		for ; q.next < q.n; q.next++ {
			r := &q.taken[q.next]
			for at := r.from; at < r.to; at += length(r.block.buf[at:]) {
				packets++
			}
			bytes += uint64(r.to - r.from)
			p.letGo(r.block)
		}
	}
	return packets, bytes
}
