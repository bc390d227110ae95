package bench

import (
	"context"
	"errors"
	"runtime/metrics"
	"time"

	"binrepd/userspace/in/packets"
)

// ringsDialogs is how many dialogs are live in the comparison of one and two rings.
const ringsDialogs = 500_000

// ringsStage drains the same kind of backlog by one consumer and by two, into one table, whose shards are divided
// among two rings as in service. Where consumers disturb each other it shows in the ratio, and where it is by locks,
// in the time spent waiting for them.
func ringsStage(ctx context.Context, s *session) (err error) {
	dialogs := min(s.cfg.Dialogs, ringsDialogs)
	p, err := newPopulation(2 * shards)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.grow(ctx, dialogs); err != nil {
		return err
	}
	var list []contender
	var ends []func() error
	defer func() {
		for i := len(ends) - 1; i >= 0; i-- {
			err = errors.Join(err, ends[i]())
		}
	}()
	var waited time.Duration
	for _, rings := range [...]int{1, 2} {
		r, err := newRig(rings)
		if err != nil {
			return err
		}
		ends = append(ends, r.close)
		sources := make([]packets.Source, rings)
		for i := range sources {
			sources[i] = r.sources[i]
		}
		w, err := p.start(nil, true, sources...)
		if err != nil {
			return err
		}
		ends = append(ends, w.finish)
		list = append(list, contender{"", func() (lap, error) {
			before := lockWait()
			l, err := w.parallel(r, p, s.events(roundEvents))
			if rings == 2 {
				waited += lockWait() - before
			}
			return l, err
		}})
	}
	all, err := s.compare(ctx, list...)
	if err != nil {
		return err
	}
	s.add("ring to table, 1 ring", dialogs, all[0])
	s.add("ring to table, 2 rings", dialogs, all[1])
	s.atLeast("throughput of 2 rings / 1 ring", all[0].wall()/all[1].wall(), 1.5)
	events := (s.cfg.Runs + 1) * s.events(roundEvents)
	s.atMost("ns an event waited for locks, 2 rings", per(waited, events), 5)
	return nil
}

// parallel fills the rings with n events and lets them all be drained at once.
func (w *worker) parallel(r *rig, p *population, n int) (lap, error) {
	p.rest()
	share := make([]int, len(w.gates))
	err := r.fill(n, func(dst []byte) ([]byte, uint64) {
		packet, call := p.mixed(dst)
		share[packets.Spread(steering().Hash(packet, sourceOf(call)), len(share))]++
		return packet, call
	})
	if err != nil {
		return lap{}, err
	}
	w.events += n
	watch := startWatch(processClock)
	for i, g := range w.gates {
		g.rounds <- share[i]
	}
	for _, g := range w.gates {
		<-g.laps
	}
	return watch.stop(n), nil
}

// lockWait is how long goroutines have waited for locks so far, in sum.
func lockWait() time.Duration {
	sample := [...]metrics.Sample{{Name: "/sync/mutex/wait/total:seconds"}}
	metrics.Read(sample[:])
	return time.Duration(sample[0].Value.Float64() * 1e9)
}
