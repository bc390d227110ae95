package telemetry

import (
	"sync"
	"time"

	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/control"
)

// Picture is a snapshot of the appliance at one time.
type Picture struct {
	control.Status
	// Engine has what Status leaves out: outcomes by kind, and complete histograms.
	Engine engine.Status
	Syncs  Syncs
	Settings
}

// Syncs counts completed syncs.
type Syncs struct {
	Complete, Failed uint64
	Duration         engine.Histogram // of complete ones
}

// Settings are constants that counters are compared with.
type Settings struct {
	Revision     string // of the source; empty if unknown
	GoVersion    string
	StaleAfter   time.Duration
	SaveInterval time.Duration
}

// fresh is how long a result is shared by all clients. It limits what any number of them costs the appliance: four
// snapshots a second, and as often the series made from one.
const fresh = 250 * time.Millisecond

// Recent takes snapshots, at most four a second.
type Recent struct{ shared[*Picture] }

// NewRecent returns a Recent that calls take for a new snapshot.
func NewRecent(take func() Picture) *Recent {
	return &Recent{shared[*Picture]{now: time.Now, take: func() *Picture { p := take(); return &p }}}
}

// Picture returns a recent snapshot. It is shared, so don't change it.
func (r *Recent) Picture() *Picture { return r.get() }

// shared is a value that is computed on request if the last one is too old.
type shared[T any] struct {
	take func() T
	now  func() time.Time

	mu    sync.Mutex // guards the fields below; one caller computes the value for all
	taken bool
	at    time.Time
	last  T
}

func (s *shared[T]) get() T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); !s.taken || now.Sub(s.at) >= fresh || now.Before(s.at) {
		s.last, s.at, s.taken = s.take(), now, true
	}
	return s.last
}
