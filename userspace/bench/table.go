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

// memoryStage looks at what a table of a million dialogs takes, and with Large of ten million, and at what the garbage collector does while events are
// applied to it. Each table is made anew, so that nothing is in it but its dialogs.
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

	// The collector, while events are applied. It has little to do, as nothing of the table is in its heap.
	runtime.GC()
	before := readGC()
	for range s.cfg.Runs {
		if _, err := p.applyLap(s.events(applyEvents)); err != nil {
			return err
		}
	}
	after := readGC()
	share := 100 * (after.cpu - before.cpu) / (after.all - before.all)
	// And one collection, which the runtime makes every two minutes where nothing is allocated.
	runtime.GC()
	once := readGC()
	pause := once.longest(&before)
	s.row(Row{
		Case: "garbage collection", Dialogs: dialogs, Allocs: -1,
		Note: fmt.Sprintf("%.2f %% of CPU; one takes %.1f ms of it; longest pause %v", share, 1e3*(once.cpu-after.cpu), pause),
	})
	s.atMost(fmt.Sprintf("garbage collection, percent of CPU, at %d", dialogs), share, 1)
	s.atMost(fmt.Sprintf("longest pause, ms, at %d", dialogs), float64(pause.Microseconds())/1e3, 1)
	return nil
}

// gcTimes is what the runtime tells of its collector.
type gcTimes struct {
	cpu, all float64 // seconds; cpu without what the collector did on processors that had nothing else to do
	pauses   metrics.Float64Histogram
}

func readGC() gcTimes {
	sample := [...]metrics.Sample{
		{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/gc/mark/idle:cpu-seconds"},
		{Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/sched/pauses/total/gc:seconds"},
	}
	metrics.Read(sample[:])
	h := *sample[3].Value.Float64Histogram()
	h.Counts = append([]uint64(nil), h.Counts...)
	return gcTimes{cpu: sample[0].Value.Float64() - sample[1].Value.Float64(), all: sample[2].Value.Float64(), pauses: h}
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
