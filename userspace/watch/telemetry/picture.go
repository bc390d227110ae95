package telemetry

import (
	"sync"
	"time"

	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/control"
)

// Picture is what the appliance shows of itself at one time.
type Picture struct {
	control.Status
	// Engine has what Status leaves out: outcomes by kind, and whole histograms.
	Engine engine.Status
	Syncs  Syncs
	Settings
}

// Syncs counts the syncs that have ended.
type Syncs struct {
	Complete, Failed uint64
	Duration         engine.Histogram // of complete ones
}

// Settings are what counters are compared with, and don't change.
type Settings struct {
	Revision     string // of the source; empty if unknown
	GoVersion    string
	StaleAfter   time.Duration
	SaveInterval time.Duration
}

// fresh is for how long what was found out for one serves all who ask. It bounds what any number of them costs the appliance: four pictures a second,
// and as many times that series are made of one.
const fresh = 250 * time.Millisecond

// Recent takes pictures, at most four a second.
type Recent struct{ shared[*Picture] }

// NewRecent returns a Recent that takes pictures by take.
func NewRecent(take func() Picture) *Recent {
	return &Recent{shared[*Picture]{now: time.Now, take: func() *Picture { p := take(); return &p }}}
}

// Picture returns one that is fresh. It is shared: nobody may change it.
func (r *Recent) Picture() *Picture { return r.get() }

// shared is something that is taken when somebody asks for it and the last one isn't fresh any more.
type shared[T any] struct {
	take func() T
	now  func() time.Time

	mu    sync.Mutex // guards what is below, and lets one take it for all
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
