package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
)

// DefaultBatch is how many datagrams a worker takes at once. Enough to lock a shard for several events and to
// overlap their cache misses, few enough that a batch's events (112 bytes each) stay in the second-level cache.
const DefaultBatch = 512

// housekeeping is the interval of expiry: the resolution of every deadline of the table is a second.
const housekeeping = time.Second

// Config of an Engine. Table and Listeners are required.
type Config struct {
	Table *dialog.Table
	// Listeners are the listen addresses, in the order that datagram.Datagram.Listener counts.
	Listeners []netip.AddrPort
	// Outlet receives what changed the table. Nil: nothing is passed on.
	Outlet Outlet
	// Batch is the number of datagrams taken at once; 0 means DefaultBatch.
	Batch int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Elapsed is a clock that nobody sets, for expiry; nil means the monotonic reading of Now.
	Elapsed func() time.Duration
	// Log receives state changes and the first of each kind of bad input; nil means slog.Default.
	Log *slog.Logger
}

// Outlet takes what changed the table.
type Outlet interface {
	// Forward is called with one shard locked and with that shard's changes in order; datagrams[i] is the one that brought
	// events[i]. It must not block, nor call the table, nor keep anything it is given.
	Forward(events []*dialog.Event, datagrams []*packets.Packet)
}

// Input is a source and how its worker runs.
type Input struct {
	Source packets.Source
	// Name tells the worker in logs and status: "ring 0", "socket 10.0.0.2:5556".
	Name string
	// Thread gives the worker an operating-system thread of its own: right for a source that spins or blocks
	// in the kernel (ring), wrong for one that waits in Go's poller (socket).
	Thread bool
	// Started is called first by the worker, on its thread, to tell the system how to run that; it may be nil.
	Started func()
	// Recorder is shown what the worker takes; nil: nobody is. One that keeps something for each worker is another one for each input.
	Recorder Recorder
}

// Recorder is shown every datagram, good or bad.
type Recorder interface {
	// Record is called by one worker once a batch, with no lock held, before the batch is looked at: then what has to be fetched into the cache
	// is fetched for both. It must not block, nor keep anything it is given.
	Record(batch []packets.Packet)
}

// Engine composes workers, the table and the outlet.
type Engine struct {
	cfg     Config
	origins *origins
	notices notices
	clock   *clock
	started time.Time

	mu      sync.Mutex // guards workers, expired
	workers []*worker
	expired dialog.Expired

	ended atomic.Uint64 // by End
	steps steps         // of expiry
}

// New returns an engine that is not running yet.
func New(cfg Config) (*Engine, error) {
	switch {
	case cfg.Table == nil:
		return nil, errors.New("engine: no table")
	case len(cfg.Listeners) == 0:
		return nil, errors.New("engine: no listeners")
	case len(cfg.Listeners) > MaxListeners:
		return nil, fmt.Errorf("engine: %d listeners, at most %d", len(cfg.Listeners), MaxListeners)
	}
	if cfg.Batch <= 0 {
		cfg.Batch = DefaultBatch
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	e := &Engine{cfg: cfg, origins: newOrigins(), started: cfg.Now(), clock: newClock(cfg.Now, cfg.Elapsed)}
	e.notices.init()
	return e, nil
}

// Run serves the inputs until all their sources have ended, which they do behind Stop. It stops them all itself when ctx ends, or
// when one of them fails.
// It returns the first error of a source other than net.ErrClosed. Run may be called once.
func (e *Engine) Run(ctx context.Context, inputs []Input) error {
	workers := make([]*worker, len(inputs))
	for i, in := range inputs {
		workers[i] = newWorker(e, in)
	}
	e.mu.Lock()
	e.workers = workers
	e.mu.Unlock()

	stopAll := func() {
		for _, in := range inputs {
			in.Source.Stop()
		}
	}
	defer context.AfterFunc(ctx, stopAll)()

	done := make(chan struct{})
	var keepers sync.WaitGroup
	keepers.Go(func() { e.keepExpiring(done) })
	keepers.Go(func() { e.keepPreparing(done) })
	keepers.Go(func() { e.keepNoticing(done) })

	errs := make([]error, len(workers))
	var wg sync.WaitGroup
	for i, w := range workers {
		wg.Go(func() {
			if w.input.Thread {
				runtime.LockOSThread()
				// Never unlocked: the thread ends with the worker, and so does what Started has set.
			}
			if w.input.Started != nil {
				w.input.Started()
			}
			if err := w.run(); !errors.Is(err, net.ErrClosed) {
				errs[i] = fmt.Errorf("%s: %w", w.input.Name, err)
				e.cfg.Log.Error("input ended: stopping", "input", w.input.Name, "error", err)
				stopAll() // an appliance that is deaf on one ear had better be started anew
			}
		})
	}
	wg.Wait()
	close(done)
	keepers.Wait()
	return errors.Join(errs...)
}

func (e *Engine) keepExpiring(done <-chan struct{}) {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			e.Expire()
		}
	}
}

// keepPreparing sees to it that workers find memory for new dialogs at hand.
func (e *Engine) keepPreparing(done <-chan struct{}) {
	for {
		e.cfg.Table.Prepare()
		select {
		case <-done:
			return
		case <-e.cfg.Table.Low():
		}
	}
}

// keepNoticing writes the notices of bad input to the log. It has a goroutine to itself, because a log may block.
func (e *Engine) keepNoticing(done <-chan struct{}) {
	for {
		select {
		case <-done:
			e.notices.flush(e.cfg.Log)
			return
		case <-e.notices.wake:
			e.notices.flush(e.cfg.Log)
		}
	}
}

// Expire removes what is due by the engine's clock, which doesn't jump when somebody sets the wall clock. Run does it once a second.
func (e *Engine) Expire() {
	e.steps.begin()
	defer e.steps.end()
	now, _ := e.clock.unix()
	gone := e.cfg.Table.Expire(now)
	e.mu.Lock()
	e.expired.Live += gone.Live
	e.expired.Early += gone.Early
	e.expired.Tombstones += gone.Tombstones
	e.mu.Unlock()
}
