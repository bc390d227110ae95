package gate

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
)

// Count is how many datagrams of a source were refused.
type Count struct {
	Source    netip.Addr
	Datagrams uint64
}

// maxRefused is the maximum number of sources that have their own count.
const maxRefused = 1024

// picks is how many entries are compared to choose one that a new entry replaces.
const picks = 8

// refusals counts by source. When it is full, a new source replaces the one with the lowest count of a few picked at
// random. So a source that is refused often stays.
type refusals struct {
	mu     sync.Mutex // guards counts
	counts map[netip.Addr]uint64
}

func (r *refusals) add(source netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = make(map[netip.Addr]uint64)
	}
	if _, ok := r.counts[source]; !ok && len(r.counts) >= maxRefused {
		delete(r.counts, least(r.counts, func(n uint64) uint64 { return n }))
	}
	r.counts[source]++
}

// least returns the key with the lowest rank among a few entries. Go iterates over a map from a random place.
func least[V any, R cmp.Ordered](m map[netip.Addr]V, rank func(V) R) (key netip.Addr) {
	var lowest R
	looked := 0
	for k, v := range m {
		if r := rank(v); looked == 0 || r < lowest {
			key, lowest = k, r
		}
		if looked++; looked == picks {
			break
		}
	}
	return key
}

// list returns the counts, the highest first.
func (r *refusals) list() []Count {
	r.mu.Lock()
	list := make([]Count, 0, len(r.counts))
	for source, n := range r.counts {
		list = append(list, Count{source, n})
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Datagrams, a.Datagrams), a.Source.Compare(b.Source))
	})
	return list
}
