package bench

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// contender is one of several things that are compared: each of its laps is measured in turn with those of the others.
type contender struct {
	name string
	lap  func() (lap, error)
}

// laps are what the rounds of one contender cost.
type laps []lap

// compare measures contenders in turns and returns the laps of each. A first round, which warms caches and code,
// isn't counted.
func (s *session) compare(ctx context.Context, list ...contender) ([]laps, error) {
	all := make([]laps, len(list))
	for round := range s.cfg.Runs + 1 {
		for i, c := range list {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			runtime.GC() // so that no lap pays for what an earlier one left behind
			l, err := c.lap()
			if err != nil {
				return nil, err
			}
			if round > 0 {
				all[i] = append(all[i], l)
			}
		}
	}
	return all, nil
}

// wall and cpu are medians, in nanoseconds an event.
func (l laps) wall() float64 { return l.median(lap.wallEach) }
func (l laps) cpu() float64  { return l.median(lap.cpuEach) }

// allocs is the median of allocations an event.
func (l laps) allocs() float64 {
	return l.median(func(l lap) float64 { return float64(l.allocs) / float64(max(l.events, 1)) })
}

func (l laps) median(of func(lap) float64) float64 {
	values := make([]float64, len(l))
	for i := range l {
		values[i] = of(l[i])
	}
	return median(values)
}

// fastest is the least wall time of a lap, in nanoseconds an event.
func (l laps) fastest() float64 {
	best := slices.MinFunc(l, func(a, b lap) int { return cmp.Compare(per(a.wall, a.events), per(b.wall, b.events)) })
	return per(best.wall, best.events)
}

// against returns how fast other is beside l: the median of the ratios of the laps that were measured in turn.
func (l laps) against(other laps, of func(lap) float64) float64 {
	ratios := make([]float64, len(l))
	for i := range l {
		ratios[i] = of(l[i]) / of(other[i])
	}
	return median(ratios)
}

func (l lap) wallEach() float64 { return per(l.wall, l.events) }
func (l lap) cpuEach() float64  { return per(l.cpu, l.events) }

func per(d time.Duration, events int) float64 {
	return float64(d.Nanoseconds()) / float64(max(events, 1))
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// stopwatch measures a lap: by the clock, by a clock of processor time, and in allocations of the process.
type stopwatch struct {
	clock  int32
	wall   time.Time
	cpu    time.Duration
	allocs uint64
}

// Clocks of processor time: that of the calling thread, to which the goroutine must be locked, and that of the process.
const (
	threadClock  = unix.CLOCK_THREAD_CPUTIME_ID
	processClock = unix.CLOCK_PROCESS_CPUTIME_ID
)

func startWatch(clock int32) stopwatch {
	return stopwatch{clock: clock, allocs: allocations(), cpu: readClock(clock), wall: time.Now()}
}

func (w stopwatch) stop(events int) lap {
	l := lap{events: events, wall: time.Since(w.wall), cpu: readClock(w.clock) - w.cpu}
	l.allocs = allocations() - w.allocs
	return l
}

func readClock(clock int32) time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(clock, &ts) // these exist everywhere
	return time.Duration(ts.Nano())
}

// timed measures fn, which handles that many events, on a thread of its own.
func timed(events int, fn func() error) (lap, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w := startWatch(threadClock)
	err := fn()
	return w.stop(events), err
}

// allocations is how many objects the process has allocated so far. It stops the world for a moment, outside of what
// is timed.
func allocations() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
