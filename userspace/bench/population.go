package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/engine"
)

// population is a table with many live dialogs, and the traffic that made them and goes on.
type population struct {
	*traffic
	table *dialog.Table
	// packetBytes is the size of all packets that the live dialogs came from; grow keeps it, so that it is right
	// until other events are applied.
	packetBytes int

	// Those of applyLap, used again.
	made     encoded
	grouping *grouping
}

// growStep is how many dialogs are made at once; it bounds the memory for their packets.
const growStep = 50_000

func newPopulation(shards int) (*population, error) {
	table, err := dialog.NewTable(dialog.Config{Shards: shards})
	if err != nil {
		return nil, err
	}
	return &population{traffic: newTraffic(), table: table}, nil
}

// grow makes calls until so many are live.
func (p *population) grow(ctx context.Context, dialogs int) error {
	var made encoded
	for len(p.live) < dialogs {
		if err := ctx.Err(); err != nil {
			return err
		}
		made.reset()
		made.make(min(growStep, dialogs-len(p.live)), p.create)
		p.packetBytes += len(made.bytes)
		if err := p.play(ctx, &made); err != nil {
			return err
		}
	}
	return nil
}

// play has an engine apply packets.
func (p *population) play(ctx context.Context, made *encoded) error {
	e, err := p.engine(nil)
	if err != nil {
		return err
	}
	if err := e.Run(ctx, []engine.Input{{Source: &replay{encoded: made, received: e.Status().Started.UnixNano()}, Name: "replay"}}); err != nil {
		return err
	}
	return allApplied(e, made.len())
}

// rest removes the tombstones of the last round, as if their time had passed: as in service, ended dialogs leave room
// for new ones, and no round has to wait for memory that the system has never touched.
func (p *population) rest() {
	p.table.Expire(time.Now().Add(dialog.DefaultTombstone + 2*time.Second).Unix())
}

// engine returns an engine over the table.
func (p *population) engine(outlet changes.Outlet) (*engine.Engine, error) {
	return engine.New(engine.Config{
		Table: p.table, Intakes: packets.Listeners([]netip.AddrPort{listener()}), Outlet: outlet, Log: slog.New(slog.DiscardHandler),
	})
}

// allApplied checks that the engine received so many events and that each changed the table. Otherwise the time that
// was measured would not be the time for that many changes.
func allApplied(e *engine.Engine, events int) error {
	s := e.Status()
	total := s.Total()
	if applied := total.Outcome(dialog.Applied); applied != uint64(events) || total.Received != uint64(events) {
		return fmt.Errorf("account: %d events, of which %d were received and %d applied: %v", events, total.Received, applied, total.Outcomes)
	}
	return nil
}

func (p *population) close() error { return p.table.Close() }

// worker is an engine that is at work on one source or several, each behind a gate.
type worker struct {
	engine *engine.Engine
	gates  []*gate
	cancel context.CancelFunc
	done   chan error
	events int // that went through the gates
}

// start puts an engine to work. Sources that spin or block get a thread.
func (p *population) start(outlet changes.Outlet, thread bool, sources ...packets.Source) (*worker, error) {
	e, err := p.engine(outlet)
	if err != nil {
		return nil, err
	}
	w := &worker{engine: e, done: make(chan error, 1)}
	var inputs []engine.Input
	clock := int32(processClock)
	if thread && len(sources) == 1 {
		clock = threadClock
	}
	for i, s := range sources {
		g := newGate(s, clock)
		w.gates = append(w.gates, g)
		inputs = append(inputs, engine.Input{Source: g, Name: fmt.Sprintf("source %d", i), Thread: thread})
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	go func() { w.done <- e.Run(ctx, inputs) }()
	return w, nil
}

// stop ends the engine between two rounds.
func (w *worker) stop() error {
	w.cancel()
	return <-w.done
}

// round lets n events through the only gate.
func (w *worker) round(n int) lap {
	w.events += n
	return w.gates[0].round(n)
}

// finish stops the engine and checks its account.
func (w *worker) finish() error {
	return errors.Join(w.stop(), allApplied(w.engine, w.events))
}
