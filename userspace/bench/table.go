package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"time"

	"binrepd/dialog"
)

// scanStage reads the whole table in steps, as a resync and a list of dialogs do.
func scanStage(ctx context.Context, s *session) error {
	p, err := s.population(ctx, s.cfg.Dialogs)
	if err != nil {
		return err
	}
	var sum uint64
	all, err := s.compare(ctx, contender{"scan", func() (lap, error) {
		entries := 0
		l, err := timed(0, func() error {
			var cursor dialog.Cursor
			for p.table.Scan(&cursor, func(v *dialog.View) {
				entries++
				sum += uint64(len(v.Body()))
			}) {
			}
			return ctx.Err()
		})
		l.events = entries
		return l, err
	}})
	if err != nil {
		return err
	}
	s.add("an entry of the table", s.cfg.Dialogs, all[0])
	return nil
}

// memoryStage looks at what a table of a million dialogs takes, and with Large of ten million, and at what the
// garbage collector does while events are applied to it. Each table is made anew, so that nothing is in it but its
// dialogs.
func memoryStage(ctx context.Context, s *session) error {
	sizes := []int{min(s.cfg.Dialogs, 1_000_000)}
	if s.cfg.Large {
		sizes = append(sizes, LargeDialogs)
	}
	for _, n := range sizes {
		if err := s.memory(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) memory(ctx context.Context, dialogs int) (err error) {
	p, err := newPopulation(shards)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.grow(ctx, dialogs); err != nil {
		return err
	}
	c := p.table.Counts()
	packet := float64(p.packetBytes) / float64(dialogs)
	each := float64(c.Mapped) / float64(dialogs)
	s.row(Row{
		Case: "memory of the table", Dialogs: dialogs, Bytes: each, Allocs: -1,
		Note: fmt.Sprintf("%.0f bytes a packet; %.2f GB in all", packet, float64(c.Mapped)/1e9),
	})
	s.atMost(fmt.Sprintf("bytes a dialog / (1.25 x packet + 64), at %d", dialogs), each/(1.25*packet+64), 1)
	if dialogs == LargeDialogs {
		s.atMost("GB, with 10,000,000 dialogs of 350 bytes", each/packet*350*LargeDialogs/1e9, 6)
	}

	return s.collector(p, dialogs)
}

// forcedEvery is how often the runtime collects where nothing is allocated (runtime.forcegcperiod).
const forcedEvery = 2 * time.Minute

// collectEvery is the interval of forced collections, which show for how long a collection stops the workers.
const collectEvery = 5 * time.Millisecond

// collector measures what the garbage collector costs the appliance. What the bench allocates to make packets is none
// of that, so packets are made, and their garbage collected, before anything is counted. Pauses are those of
// collections that are forced while events are applied.
func (s *session) collector(p *population, dialogs int) error {
	n := s.events(applyEvents)
	var cycles uint64
	var busy time.Duration
	for range s.cfg.Runs {
		p.remake(n)
		runtime.GC()
		before := readGC()
		l, err := p.applyMade()
		if err != nil {
			return err
		}
		after := readGC()
		cycles += after.cycles - before.cycles
		busy += l.cpu
	}
	runtime.GC()
	quiet := readGC()
	for range s.cfg.Runs {
		runtime.GC()
	}
	last := readGC()
	one := (last.cpu - quiet.cpu) / float64(s.cfg.Runs) // seconds
	share := 100 * (float64(cycles)*one/busy.Seconds() + one/forcedEvery.Seconds())

	for range s.cfg.Runs {
		p.remake(n)
		applied := make(chan error, 1)
		go func() {
			_, err := p.applyMade()
			applied <- err
		}()
		for done := false; !done; {
			select {
			case err := <-applied:
				if err != nil {
					return err
				}
				done = true
			case <-time.After(collectEvery):
				runtime.GC()
			}
		}
	}
	loaded := readGC()
	pause := loaded.longest(&last)
	s.row(Row{
		Case: "garbage collection", Dialogs: dialogs, Allocs: -1,
		Note: fmt.Sprintf("%.4f %% of CPU; %d collections during %d events; one takes %.2f ms of CPU; longest of %d pauses %v",
			share, cycles, s.cfg.Runs*n, 1e3*one, loaded.pausesSince(&last), pause),
	})
	s.atMost(fmt.Sprintf("garbage collection, percent of CPU, at %d", dialogs), share, 1)
	s.atMost(fmt.Sprintf("longest pause, ms, at %d", dialogs), float64(pause.Microseconds())/1e3, 1)
	return nil
}

// gcTimes is what the runtime tells of its collector. Processor time is brought up to date by each collection.
type gcTimes struct {
	cpu    float64 // seconds, without what the collector did on processors that had nothing else to do
	cycles uint64
	pauses metrics.Float64Histogram
}

func readGC() gcTimes {
	sample := [...]metrics.Sample{
		{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/gc/mark/idle:cpu-seconds"},
		{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/sched/pauses/total/gc:seconds"},
	}
	metrics.Read(sample[:])
	h := *sample[3].Value.Float64Histogram()
	h.Counts = append([]uint64(nil), h.Counts...)
	return gcTimes{cpu: sample[0].Value.Float64() - sample[1].Value.Float64(), cycles: sample[2].Value.Uint64(), pauses: h}
}

// pausesSince is how many there were since an earlier reading.
func (g *gcTimes) pausesSince(before *gcTimes) (n uint64) {
	for i := range g.pauses.Counts {
		n += g.pauses.Counts[i] - before.pauses.Counts[i]
	}
	return n
}

// longest returns the upper bound of the bucket of the longest pause since an earlier reading.
func (g *gcTimes) longest(before *gcTimes) (d time.Duration) {
	for i, n := range g.pauses.Counts {
		if n > before.pauses.Counts[i] {
			d = time.Duration(g.pauses.Buckets[i] * 1e9) // the lower bound: the upper one of the last bucket is infinite
		}
	}
	return d
}
