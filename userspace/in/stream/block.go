package stream

import (
	"sync"
	"sync/atomic"
)

// block is memory that one connection reads into. Runs of its packets wait in the queue as views. refs counts those
// who need the bytes: the reading connection, and each run. The last one to let go returns the block to the pool.
type block struct {
	buf  []byte
	refs atomic.Int32
	// reserved: the block counts against the pool's budget. The reader writes it before it lets go of the block.
	reserved bool
}

// alone tells the reader that nobody else needs the bytes of its block any more.
func (b *block) alone() bool { return b.refs.Load() == 1 }

// pool hands out blocks. Each connection may hold two (see room); every further block that is full of packets which
// wait in the queue needs a place in the budget. So the memory is at most
//
//	(2 x connections + budget) x size
type pool struct {
	size   int
	budget int64

	used atomic.Int64 // places of the budget that are taken
	out  atomic.Int64 // blocks in use

	mu   sync.Mutex
	free []*block // at most budget
}

// get returns a block that belongs to the caller.
func (p *pool) get() *block {
	p.mu.Lock()
	var b *block
	if n := len(p.free); n > 0 {
		b, p.free[n-1] = p.free[n-1], nil
		p.free = p.free[:n-1]
	}
	p.mu.Unlock()
	if b == nil {
		b = &block{buf: make([]byte, p.size)}
	}
	b.refs.Store(1)
	p.out.Add(1)
	return b
}

// reserve takes a place of the budget.
func (p *pool) reserve() bool {
	if p.used.Add(1) <= p.budget {
		return true
	}
	p.used.Add(-1)
	return false
}

// letGo drops one reference.
func (p *pool) letGo(b *block) {
	if b.refs.Add(-1) > 0 {
		return
	}
	if b.reserved {
		b.reserved = false
		p.used.Add(-1)
	}
	p.out.Add(-1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if int64(len(p.free)) < p.budget {
		p.free = append(p.free, b)
	}
}
