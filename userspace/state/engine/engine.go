package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/conflicts"
)

// DefaultBatch is how many packets a worker takes at once: enough to lock a shard for several events and to overlap their cache
// misses, and few enough that a batch's events (112 bytes each) stay in the second-level cache.
const DefaultBatch = 512

// housekeeping is the interval of expiry: the resolution of every deadline of the table is a second.
const housekeeping = time.Second

// Config of an Engine. Table and Intakes are required.
type Config struct {
	Table *dialog.Table
	// Intakes are the ways in, in the order that packets.Packet.Intake counts. Each has a row in the account.
	Intakes []packets.Intake
	// Outlet receives what changed the table. Nil: nothing is passed on.
	Outlet changes.Outlet
	// Hear is told of packets from other appliances that are no events (bin1.OwnCapability). It must not block, nor keep
	// anything it is given. It may be nil.
	Hear func(p *packets.Packet)
	// Origin is the number of this appliance in the stamps of its changes; 0 means a random one, which is another at each start.
	Origin uint64
	// Steering computes the hash of a Call-ID for packets of generation 2: connections bring them without, and in rings that an
	// earlier version filled they have that of their source.
	Steering packets.Steering
	// Conflicts is told of events of nodes that act for a sharing tag which another node has claimed since. It may be nil.
	Conflicts *conflicts.Book
	// Batch is the number of packets taken at once; 0 means DefaultBatch.
	Batch int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Elapsed is a clock that nobody sets, for expiry; nil means the monotonic reading of Now.
	Elapsed func() time.Duration
	// Log receives state changes and the first of each kind of bad input; nil means slog.Default.
	Log *slog.Logger
}

// Input is a source and how its worker runs.
type Input struct {
	Source packets.Source
	// Name tells the worker in logs and status: "ring 0", "socket 10.0.0.2:5556".
	Name string
	// Thread gives the worker an operating-system thread of its own. This is right for a source that spins or blocks in the
	// kernel (ring), and wrong for one that waits in Go's poller (socket).
	Thread bool
	// Started is what the worker calls first, on its thread, to tell the system how to run that thread; it may be nil.
	Started func()
	// Recorder is shown what the worker takes; it may be nil. A recorder that keeps something for each worker needs one value for
	// each input.
	Recorder Recorder
}

// Recorder is shown every packet, good or bad.
type Recorder interface {
	// Record is called by one worker once a batch, with no lock held, before the batch is decoded, so that the packets are fetched into
	// the cache once for both. It must not block, nor keep anything it is given.
	Record(batch []packets.Packet)
}

// Engine composes workers, the table and the outlet.
type Engine struct {
	cfg     Config
	origins *origins
	room    roomRules
	notices notices
	seen    seen
	clock   *clock
	started time.Time

	kinds [packets.MaxIntakes]packets.IntakeKind // of Config.Intakes

	mu      sync.Mutex // guards workers, expired, syncs
	workers []*worker
	expired dialog.Expired
	syncs   map[int32]uint8 // by cluster: dialog.Event.Since of the sync that was requested last

	seq   atomic.Uint64 // number of the last change
	ended atomic.Uint64 // dialogs ended by End
	steps steps         // of expiry
}

// New returns an engine that is not running yet.
func New(cfg Config) (*Engine, error) {
	switch {
	case cfg.Table == nil:
		return nil, errors.New("engine: no table")
	case len(cfg.Intakes) == 0:
		return nil, errors.New("engine: no intakes")
	case len(cfg.Intakes) > packets.MaxIntakes:
		return nil, fmt.Errorf("engine: %d intakes, at most %d", len(cfg.Intakes), packets.MaxIntakes)
	}
	for cfg.Origin == 0 {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, fmt.Errorf("engine: number of this appliance: %w", err)
		}
		cfg.Origin = binary.LittleEndian.Uint64(b[:])
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
	e := &Engine{cfg: cfg, origins: newOrigins(), started: cfg.Now(), clock: newClock(cfg.Now, cfg.Elapsed), syncs: map[int32]uint8{}}
	e.room = roomRules{silentFor, numberRest}
	for i, in := range cfg.Intakes {
		e.kinds[i] = in.Kind
	}
	e.notices.init()
	return e, nil
}

// Run serves the inputs until all their sources have ended, which they do after Stop. It stops them all when ctx ends, or when one of
// them fails. It returns the errors of sources other than net.ErrClosed. Run may be called once.
func (e *Engine) Run(ctx context.Context, inputs []Input) error {
	begun := e.cfg.Now().UnixNano()
	workers := make([]*worker, len(inputs))
	for i, in := range inputs {
		workers[i] = newWorker(e, in)
		workers[i].begun = begun
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
	var background sync.WaitGroup
	background.Go(func() { e.expireUntil(done) })
	background.Go(func() { e.prepareUntil(done) })
	background.Go(func() { e.noticeUntil(done) })
	background.Go(func() { e.roomUntil(done) })

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
				stopAll() // half an appliance hides its trouble: a new start shows it and may cure it
			}
		})
	}
	wg.Wait()
	close(done)
	background.Wait()
	return errors.Join(errs...)
}

func (e *Engine) expireUntil(done <-chan struct{}) {
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

// prepareUntil takes memory for new dialogs from the system ahead of need, so that no worker has to wait for it.
func (e *Engine) prepareUntil(done <-chan struct{}) {
	for {
		e.cfg.Table.Prepare()
		select {
		case <-done:
			return
		case <-e.cfg.Table.Low():
		}
	}
}

// noticeUntil writes the notices of bad input to the log. It has a goroutine of its own, because a log may block.
func (e *Engine) noticeUntil(done <-chan struct{}) {
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

// Number returns the number of this appliance in the stamps of its changes.
func (e *Engine) Number() uint64 { return e.cfg.Origin }

// Forward implements changes.Outlet for what changes the table without a worker, such as a file that is loaded: it stamps changes that
// have no stamp as this appliance's own and hands all to Config.Outlet.
func (e *Engine) Forward(list []changes.Change) {
	if e.cfg.Outlet == nil || len(list) == 0 {
		return
	}
	own := uint64(0)
	for i := range list {
		if list[i].Origin == 0 {
			own++
		}
	}
	seq := e.seq.Add(own) - own
	for i := range list {
		if list[i].Origin == 0 {
			seq++
			list[i].Stamp = changes.Stamp{Origin: e.cfg.Origin, Seq: seq}
		}
	}
	e.cfg.Outlet.Forward(list)
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
	e.expired.Waiting += gone.Waiting
	e.mu.Unlock()
}
