package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/wire/bin1"
)

// ringStage measures what it takes to get datagrams out of a ring that is full of them, without looking into them.
// Nearly all of it is waiting for memory, which decoding has then already in its cache.
func ringStage(ctx context.Context, s *session) (err error) {
	r, err := newRig(1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	t, n := newTraffic(), s.events(roundEvents)
	var ignore encoded
	ignore.make(n, t.create)
	batch := packets.NewBatch(engine.DefaultBatch)
	var bytes int
	all, err := s.compare(ctx, contender{"ring to batch", func() (lap, error) {
		if err := r.fill(n, t.mixed); err != nil {
			return lap{}, err
		}
		bytes = r.feeder.end
		return timed(n, func() error { return r.drain(batch, n) })
	}})
	if err != nil {
		return err
	}
	s.add("ring to batch", 0, all[0]).Note = fmt.Sprintf("%d bytes a datagram", bytes/n-frameHeader-8)
	return nil
}

// decodeStage measures verification and decoding of packets that lie in memory, and the checksum alone.
func decodeStage(ctx context.Context, s *session) error {
	t, n := newTraffic(), s.events(roundEvents)
	var made encoded
	made.make(n, t.create)
	made.reset()
	made.make(n, t.mixed)
	events := make([]dialog.Event, engine.DefaultBatch)
	var sum uint32
	to := make([]byte, len(made.bytes))
	all, err := s.compare(ctx,
		contender{"copy", func() (lap, error) {
			return timed(n, func() error {
				for i := range made.len() {
					p := made.at(i)
					copy(to[made.ends[i]-len(p):], p)
				}
				return nil
			})
		}},
		contender{"checksum", func() (lap, error) {
			return timed(n, func() error {
				for i := range made.len() {
					sum ^= bin1.Checksum(made.at(i))
				}
				return nil
			})
		}},
		contender{"decode", func() (lap, error) {
			return timed(n, func() error {
				for i := range made.len() {
					if v := bin1.Decode(made.at(i), &events[i%len(events)]); v != bin1.Dialog {
						return fmt.Errorf("decode: %v", v)
					}
				}
				return nil
			})
		}},
	)
	if err != nil {
		return err
	}
	s.add("memcpy of the same bytes", 0, all[0]).Note = "the limit of memory"
	s.add("checksum alone", 0, all[1])
	s.add("verify and decode", 0, all[2])
	return nil
}

// applyEvents is how many events are in a round of stages that time only the table.
const applyEvents = 100_000

// applyLap plays mixed events upon the table, and times only that: decoding and sorting by shard are done before,
// batch by batch.
func (p *population) applyLap(n int) (lap, error) {
	p.remake(n)
	return p.applyMade()
}

// remake makes packets of a mixed stream for applyMade.
func (p *population) remake(n int) {
	p.rest()
	p.made.reset()
	p.made.make(n, p.mixed)
	if p.grouping == nil {
		p.grouping = newGrouping(p.table.Shards())
	}
}

// applyMade is applyLap with what remake has made.
func (p *population) applyMade() (lap, error) {
	made, n := &p.made, p.made.len()
	g := p.grouping
	now := time.Now().Unix()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	sum := lap{}
	for from := 0; from < n; from += engine.DefaultBatch {
		if err := g.decode(made, from, min(n, from+engine.DefaultBatch)); err != nil {
			return lap{}, err
		}
		cpu, wall := readClock(threadClock), time.Now()
		for shard, evs := range g.byShard {
			if len(evs) > 0 {
				s := p.table.Lock(shard)
				s.Apply(evs, now)
				s.Unlock()
			}
		}
		sum.events, sum.wall, sum.cpu = sum.events+len(g.events), sum.wall+time.Since(wall), sum.cpu+readClock(threadClock)-cpu
		for i := range g.events {
			if o := g.events[i].Outcome; o != dialog.Applied {
				return lap{}, fmt.Errorf("apply: the outcome of a %v is %v", g.events[i].Kind, o)
			}
		}
	}
	return sum, nil
}

// grouping is a batch of events sorted by shard, as a worker of the engine sorts it.
type grouping struct {
	events  []dialog.Event
	byShard [][]*dialog.Event
}

func newGrouping(shards int) *grouping {
	g := &grouping{events: make([]dialog.Event, 0, engine.DefaultBatch), byShard: make([][]*dialog.Event, shards)}
	for i := range g.byShard {
		g.byShard[i] = make([]*dialog.Event, 0, engine.DefaultBatch)
	}
	return g
}

func (g *grouping) decode(made *encoded, from, to int) error {
	g.events = g.events[:to-from]
	for i := range g.byShard {
		g.byShard[i] = g.byShard[i][:0]
	}
	for i := range g.events {
		ev := &g.events[i]
		if v := bin1.Decode(made.at(from+i), ev); v != bin1.Dialog {
			return fmt.Errorf("decode: %v", v)
		}
		ev.Hash = made.hashes[from+i]
		shard := packets.Spread(ev.Hash, len(g.byShard))
		g.byShard[shard] = append(g.byShard[shard], ev)
	}
	return nil
}

func applyStage(ctx context.Context, s *session) error {
	p, err := s.population(ctx, s.cfg.Dialogs)
	if err != nil {
		return err
	}
	all, err := s.compare(ctx, contender{"apply", func() (lap, error) { return p.applyLap(s.events(applyEvents)) }})
	if err != nil {
		return err
	}
	s.add("creations, updates, deletions 1:1:1", s.cfg.Dialogs, all[0])
	return nil
}

// growthStage applies the same mix to tables of growing size. It has a table of its own, as the common one may have
// grown already.
func growthStage(ctx context.Context, s *session) (err error) {
	p, err := newPopulation(shards)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	sizes := []int{10_000, 100_000, 1_000_000, s.cfg.Dialogs}
	if s.cfg.Large {
		sizes = append(sizes, LargeDialogs)
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	sizes = slices.DeleteFunc(sizes, func(n int) bool { return n > s.cfg.Dialogs && !(s.cfg.Large && n == LargeDialogs) })
	var first, last float64
	for _, n := range sizes {
		if err := p.grow(ctx, n); err != nil {
			return err
		}
		all, err := s.compare(ctx, contender{"apply", func() (lap, error) { return p.applyLap(s.events(applyEvents)) }})
		if err != nil {
			return err
		}
		last = s.add("apply", n, all[0]).CPU
		if first == 0 {
			first = last
		}
	}
	if len(sizes) > 1 {
		s.atMost(fmt.Sprintf("cost of apply at %d / at %d dialogs", sizes[len(sizes)-1], sizes[0]), last/first, 2)
	}
	return nil
}

// wholeStage is the path of the product: a ring full of distinct datagrams, drained by the engine's own worker into
// the table.
func wholeStage(ctx context.Context, s *session) (err error) {
	p, err := s.population(ctx, s.cfg.Dialogs)
	if err != nil {
		return err
	}
	r, err := newRig(1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	w, err := p.start(nil, true, r.sources[0])
	if err != nil {
		return err
	}
	n := s.events(roundEvents)
	all, err := s.compare(ctx, contender{"whole", func() (lap, error) {
		p.rest()
		if err := r.fill(n, p.mixed); err != nil {
			return lap{}, err
		}
		return w.round(n), nil
	}})
	if err = errors.Join(err, w.finish()); err != nil {
		return err
	}
	row := s.add("ring to table", s.cfg.Dialogs, all[0])
	s.atLeast("events a second, ring to table, on one core", 1e9/row.CPU, 2_500_000)
	s.atMost("allocations an event", row.Allocs, 0.0005)
	return nil
}
