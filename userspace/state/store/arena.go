package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

const (
	// chunkSize is the unit in which memory is dealt out. It is large enough for the largest entry. It is small enough
	// that half-empty chunks, one for each shard and size class in use, don't matter.
	chunkSize = 64 << 10
	// growStep is by how much the used part of the reservation grows: a huge page on amd64 and arm64.
	growStep = 2 << 20
	// maxReserve follows from references of 32 bits in units of 16 bytes.
	maxReserve = uint64(refUnit) << 32
	minReserve = 64 << 20
)

var errNoMemory = errors.New("out of memory")

// arena deals out chunks of memory from one reserved range of addresses. The range costs nothing until it is made
// usable, from the front, growStep by growStep. Chunks that come back are dealt out again, to any shard and for any
// purpose. Memory isn't given back to the system before close.
type arena struct {
	mapping mapping
	mem     []byte // the whole reservation; only mem[:usable] may be touched
	meta    chunkTable
	limit   int // how many bytes may be dealt out: len(mem), or less if the configuration says so

	mu     sync.Mutex
	usable int      // guarded by mu, and so are those below
	next   int      // offset from which on nothing was dealt out yet
	free   []uint32 // numbers of chunks that came back
	backed int      // offset up to which the system has provided memory: see prepare

	dealt, mapped atomic.Int64 // as of the last unlock

	low chan struct{} // has an element when it is time for prepare
}

// newArena reserves as many addresses as the system lets it, up to maxReserve. A limit of 0 is none.
func newArena(limit int64) (*arena, error) {
	size := maxReserve
	if limit > 0 {
		size = min(size, uint64(limit+growStep-1)/growStep*growStep)
	}
	size = min(size, maxMapping)
	for {
		m, err := reserve(int(size))
		if err == nil {
			a := &arena{mapping: m, mem: m.bytes(), limit: int(size), low: make(chan struct{}, 1)}
			if limit > 0 {
				a.limit = min(a.limit, int(limit))
			}
			return a, nil
		}
		// A limit on address space (ulimit -v) or strict overcommit may be in force.
		if size /= 2; size < minReserve {
			return nil, fmt.Errorf("reserve memory: %w", err)
		}
	}
}

// take deals out one chunk, by its number. It reports false when memory or the limit is exhausted. reserve is how many
// bytes must be left afterwards: new entries leave some to those that exist.
func (a *arena) take(reserve int) (chunk uint32, ok bool) {
	a.mu.Lock()
	defer a.unlock()
	if reserve > 0 && a.limit-a.next+len(a.free)*chunkSize < reserve+chunkSize {
		return 0, false
	}
	if n := len(a.free); n > 0 {
		chunk, a.free = a.free[n-1], a.free[:n-1]
		return chunk, true
	}
	if a.next+chunkSize > a.limit {
		return 0, false
	}
	if a.next+chunkSize > a.usable {
		end := min(a.usable+growStep, len(a.mem))
		if a.mapping.commit(a.usable, end) != nil {
			return 0, false
		}
		a.usable = end
	}
	if a.next+ahead(a.next)/2 >= a.backed {
		select {
		case a.low <- struct{}{}:
		default: // the channel already says so
		}
	}
	chunk = uint32(a.next / chunkSize)
	a.next += chunkSize
	if chunk%chunkBlock == 0 {
		a.meta[chunk/chunkBlock] = new(chunks)
	}
	return chunk, true
}

// put takes a chunk back.
func (a *arena) put(chunk uint32) {
	a.mu.Lock()
	a.free = append(a.free, chunk)
	a.unlock()
}

// The bounds of how much memory there should be ahead of what is dealt out; between them it is a sixteenth of that. The
// system takes up to milliseconds to provide a huge page, and the first access to it has to wait. The least is the
// growth of two seconds with 100,000 events a second.
const (
	leastAhead = 8 << 20
	mostAhead  = 256 << 20
)

func ahead(dealt int) int { return min(max(dealt/16, leastAhead), mostAhead) }

// prepare makes the system provide memory ahead of need, so that those who take it don't have to wait. It may take
// long, and is meant for a goroutine that has nothing else to do. Only one call may run at a time.
func (a *arena) prepare() {
	for {
		a.mu.Lock()
		want := min((a.next+ahead(a.next)+growStep-1)/growStep*growStep, a.limit/growStep*growStep)
		from := max(a.backed, a.next/growStep*growStep) // memory that is already in use needs nothing
		committed := a.usable
		a.mu.Unlock()
		if from >= want {
			return
		}
		// All of it is made usable at once, because that must not run beside other changes of the address space. Then
		// it is provided step by step.
		if committed < want {
			if a.mapping.commit(committed, want) != nil {
				return
			}
			a.mu.Lock()
			a.usable = max(a.usable, want)
			a.unlock()
		}
		a.mapping.populate(from, from+growStep)
		a.mu.Lock()
		a.backed = from + growStep
		a.mu.Unlock()
	}
}

// unlock gives up the lock. Before, it shows what is usable, and then what of that is dealt out: see sizes.
func (a *arena) unlock() {
	a.mapped.Store(int64(a.usable))
	a.dealt.Store(int64(a.next - len(a.free)*chunkSize))
	a.mu.Unlock()
}

// sizes returns how many bytes are dealt out, and how many are usable. It takes no lock, so that those who look hold up
// nobody. mapped is written before dealt, is read after it and never falls: so dealt is never the greater one.
func (a *arena) sizes() (dealt, mapped int) {
	dealt = int(a.dealt.Load())
	return dealt, int(a.mapped.Load())
}

func (a *arena) close() error {
	a.mem = nil
	return a.mapping.release()
}
