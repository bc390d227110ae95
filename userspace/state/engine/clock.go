package engine

import (
	"sync"
	"sync/atomic"
	"time"
)

// slewing is how fast the clock follows the wall clock: by one second in a hundred. So a dialog expires at most a hundredth of its time
// early or late, however far the wall clock has jumped.
const slewing = 100

// clock tells the time by which the table expires what is due. It goes with the machine's monotonic clock. It follows the wall clock, which
// an operator may set, without ever jumping.
type clock struct {
	wall    func() time.Time
	elapsed func() time.Duration // monotonic

	mu   sync.Mutex // guards what is below
	last time.Duration
	now  time.Time

	ahead atomic.Int64 // how far the wall clock was ahead when unix was last called, ns
}

func newClock(wall func() time.Time, elapsed func() time.Duration) *clock {
	c := &clock{wall: wall, elapsed: elapsed, now: wall().Round(0)}
	if c.elapsed == nil {
		start := wall()
		c.elapsed = func() time.Duration { return wall().Sub(start) } // by the monotonic reading, if wall has one
	}
	c.last = c.elapsed()
	return c
}

// unix returns the time in seconds, and how far the wall clock is ahead of it.
func (c *clock) unix() (now int64, ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.elapsed()
	passed := max(at-c.last, 0)
	c.last = max(at, c.last)
	c.now = c.now.Add(passed)
	ahead = c.wall().Round(0).Sub(c.now)
	follow := min(max(ahead, -passed/slewing), passed/slewing)
	c.now = c.now.Add(follow)
	c.ahead.Store(int64(ahead - follow))
	return c.now.Unix(), ahead - follow
}

// aheadOf returns how far the wall clock was ahead when unix was last called, at the latest by the last Expire. It takes no lock.
func (c *clock) aheadOf() time.Duration { return time.Duration(c.ahead.Load()) }
