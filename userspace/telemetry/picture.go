package telemetry

import (
	"sync"
	"time"

	"binrepd/userspace/control"
	"binrepd/userspace/engine"
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

// fresh is for how long a picture serves all who ask. It bounds what any number of them costs the appliance: taking a picture locks
// each shard of the table once, as `binrepd status` does.
const fresh = 250 * time.Millisecond

// Recent takes pictures, at most four a second.
type Recent struct {
	take func() Picture
	now  func() time.Time

	mu   sync.Mutex
	at   time.Time
	last *Picture
}

// NewRecent returns a Recent that takes pictures by take.
func NewRecent(take func() Picture) *Recent { return &Recent{take: take, now: time.Now} }

// Picture returns one that is fresh. It is shared: nobody may change it.
func (r *Recent) Picture() *Picture {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); r.last == nil || now.Sub(r.at) >= fresh || now.Before(r.at) {
		p := r.take()
		r.last, r.at = &p, now
	}
	return r.last
}
