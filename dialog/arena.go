package dialog

import (
	"errors"
	"fmt"
	"sync"
)

const (
	// chunkSize is the unit in which memory is dealt out. It is large enough for the largest record, and small
	// enough that the half-empty ones (one for each size class in use and shard) don't weigh.
	chunkSize = 64 << 10
	// growStep is by how much the used part of the reservation grows: a huge page on amd64 and arm64.
	growStep = 2 << 20
	// maxReserve follows from references of 32 bits in units of 16 bytes.
	maxReserve = uint64(refUnit) << 32
	minReserve = 64 << 20
)

var errNoMemory = errors.New("out of memory")

// arena deals out chunks of memory from one reserved range of addresses. The range costs nothing until it
// is made usable, from the front, growStep by growStep. Chunks that come back are dealt out again, to any
// shard and for any purpose; memory isn't given back to the system before close.
type arena struct {
	mapping mapping
	mem     []byte // the whole reservation; only mem[:usable] may be touched
	meta    chunkTable
	limit   int // what may be dealt out: len(mem), or less if the user said so

	mu     sync.Mutex
	usable int      // guarded by mu, and so are those below
	next   int      // from here on nothing was dealt out yet
	free   []uint32 // numbers of chunks that came back
	before int      // next when prepare was last called
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
			a := &arena{mapping: m, mem: m.bytes(), limit: int(size)}
			if limit > 0 {
				a.limit = min(a.limit, int(limit))
			}
			return a, nil
		}
		// A limit on address space (ulimit -v) or strict overcommit may be in force.
		if size /= 2; size < minReserve {
			return nil, fmt.Errorf("reserve memory for dialogs: %w", err)
		}
	}
}

// take deals out one chunk, by its number. It tells false when memory or the limit is exhausted. keep is how many bytes must
// be left afterwards: new dialogs leave some to those that are known.
func (a *arena) take(keep int) (chunk uint32, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if keep > 0 && a.limit-a.next+len(a.free)*chunkSize < keep+chunkSize {
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
	a.mu.Unlock()
}

// prepare makes memory usable, and has the system back it with pages, ahead of need: twice what was dealt out since the
// last call, but no more than 1/32 of all. It is meant for a housekeeping goroutine, so that those who take seldom
// have to wait for the system.
func (a *arena) prepare() {
	a.mu.Lock()
	want := max(growStep, min(2*(a.next-a.before), a.next/32))
	a.before = a.next
	from := a.usable
	end := min((a.next+want+growStep-1)/growStep*growStep, a.limit/growStep*growStep)
	a.mu.Unlock()
	if end <= from || a.mapping.commit(from, end) != nil {
		return
	}
	a.mapping.populate(from, end)
	a.mu.Lock()
	a.usable = max(a.usable, end)
	a.mu.Unlock()
}

// sizes returns how many bytes are dealt out, and how many are usable.
func (a *arena) sizes() (dealt, mapped int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.next - len(a.free)*chunkSize, a.usable
}

func (a *arena) close() error {
	a.mem = nil
	return a.mapping.release()
}
