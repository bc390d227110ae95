package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"binrepd/userspace/state/engine"
)

const (
	// latencyRate and latencyEvents are the traffic under which latency is measured, in bursts of latencyChunk: 80 us
	// apart.
	latencyRate, latencyEvents, latencyChunk = 100_000, 200_000, 8
	// idleTime is for how long the appliance is watched doing nothing.
	idleTime = time.Second
)

// latencyStage measures the time from the kernel's receipt of a datagram to its account, and what an appliance costs
// that receives nothing. The sender keeps a processor busy, as there is no other machine to send from, and the
// appliance has a ring for each of the others. Its consumers are woken at once, as with --coalesce 0; what the default
// adds is among the figures of the live stage.
func latencyStage(ctx context.Context, s *session) (err error) {
	dialogs := min(s.cfg.Dialogs, liveDialogs)
	p, err := newPath(ctx, s.events(latencyEvents), dialogs, len(applianceCPUs()), 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	var p50, p99, p999, rate []float64
	for range min(s.cfg.Runs, 5) {
		before := p.appliance.engine.Status().Latency
		r, err := p.sendAll(ctx, s.events(latencyEvents), latencyRate, latencyChunk, p.appliance.mixed)
		if err != nil {
			return err
		}
		after := p.appliance.engine.Status().Latency
		h := since(&before, &after)
		us := func(q float64) float64 { return float64(h.Quantile(q).Nanoseconds()) / 1e3 }
		p50, p99, p999 = append(p50, us(0.5)), append(p99, us(0.99)), append(p999, us(0.999))
		rate = append(rate, float64(r.frames)/r.wall.Seconds())
	}
	q50, q99, q999 := median(p50), median(p99), median(p999)
	s.row(Row{
		Case: "receipt to applied", Dialogs: dialogs, PerSecond: median(rate), NS: q50 * 1e3, Allocs: -1,
		Note: fmt.Sprintf("p50 %.0f us, p99 %.0f us, p99.9 %.0f us", q50, q99, q999),
	})
	s.atMost("latency p50, us, at 100,000 events a second", q50, 50)
	s.atMost("latency p99, us", q99, 500)

	before := readClock(processClock)
	select {
	case <-time.After(idleTime):
	case <-ctx.Done():
		return ctx.Err()
	}
	share := 100 * float64(readClock(processClock)-before) / float64(idleTime)
	s.row(Row{Case: "idle", Dialogs: dialogs, Allocs: -1, Note: fmt.Sprintf("%.2f %% of a core", share)})
	s.atMost("idle, percent of a core", share, 1)
	return nil
}

// since returns what was observed between two pictures of a histogram. Max is that of all time.
func since(before, after *engine.Histogram) (h engine.Histogram) {
	h = *after
	for i, n := range before.Counts {
		h.Counts[i] -= n
	}
	h.Sum -= before.Sum
	return h
}
