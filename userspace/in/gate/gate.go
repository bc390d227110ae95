package gate

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"binrepd/userspace/in/packets"
)

// Config of a Gate. The zero value admits every source.
type Config struct {
	// Rate is how many datagrams a second each source address may send, and Burst how many at once. 0 means no limit.
	Rate, Burst int
	// Now is a clock that never goes back; nil means one that starts at New.
	Now func() time.Duration
}

// Gate decides about datagrams. It is safe for concurrent use. Reading the list takes no lock.
type Gate struct {
	list    atomic.Pointer[prefixes] // nil: every source is allowed
	limits  *limits                  // nil: no rate limit
	denied  refusals
	limited refusals
}

// New returns a gate that admits every source.
func New(c Config) *Gate {
	g := &Gate{}
	if c.Rate > 0 {
		g.limits = newLimits(c)
	}
	return g
}

// Allow replaces the list of allowed sources. An empty list allows every source.
func (g *Gate) Allow(list []netip.Prefix) {
	if len(list) == 0 {
		g.list.Store(nil)
		return
	}
	g.list.Store(newPrefixes(list))
}

// Allowed returns the list, sorted.
func (g *Gate) Allowed() []netip.Prefix {
	if p := g.list.Load(); p != nil {
		return slices.Clone(p.list)
	}
	return nil
}

// Admit decides about one datagram. It doesn't allocate for a source that it admits and knows.
func (g *Gate) Admit(source packets.Endpoint) packets.Admission {
	list := g.list.Load()
	if list == nil && g.limits == nil {
		return packets.Admitted
	}
	addr := netip.AddrFrom16(source.Addr).Unmap()
	if list != nil && !list.cover(addr) {
		g.denied.add(addr)
		return packets.Denied
	}
	if g.limits != nil && !g.limits.take(addr) {
		g.limited.add(addr)
		return packets.RateLimited
	}
	return packets.Admitted
}

// Denied returns the sources that were refused because they are not on the list, the highest count first.
func (g *Gate) Denied() []Count { return g.denied.list() }

// Limited returns the sources that sent more than the rate, the highest count first.
func (g *Gate) Limited() []Count { return g.limited.list() }

// maxBuckets is how many sources have a bucket. When there are more, a new source replaces one of a few picked at
// random: the one with the fullest bucket, which has sent least of late.
const maxBuckets = 16384

// limits are the token buckets. A bucket stores a time instead of tokens: when the source would have sent everything at
// exactly its rate. The further this is ahead of now, the emptier the bucket.
type limits struct {
	interval, depth time.Duration
	now             func() time.Duration

	mu    sync.Mutex // guards ahead
	ahead map[netip.Addr]time.Duration
}

func newLimits(c Config) *limits {
	l := &limits{interval: max(time.Second/time.Duration(c.Rate), 1), now: c.Now, ahead: make(map[netip.Addr]time.Duration)}
	l.depth = l.interval * time.Duration(max(c.Burst, 1))
	if l.now == nil {
		start := time.Now()
		l.now = func() time.Duration { return time.Since(start) }
	}
	return l
}

// take takes one datagram's worth from the bucket of a source, if there is enough.
func (l *limits) take(source netip.Addr) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	ahead, known := l.ahead[source]
	if !known && len(l.ahead) >= maxBuckets {
		delete(l.ahead, least(l.ahead, func(d time.Duration) time.Duration { return d }))
	}
	next := max(ahead, now) + l.interval
	if next-now > l.depth {
		return false
	}
	l.ahead[source] = next
	return true
}
