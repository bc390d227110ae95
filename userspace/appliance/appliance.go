package appliance

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/cluster/member"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/state/conflicts"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/trace/record"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/links"
	"binrepd/userspace/watch/proxies"
	"binrepd/userspace/watch/restarts"
	"binrepd/userspace/watch/sources"
	"binrepd/userspace/watch/statuspage"
	"binrepd/userspace/watch/telemetry"
)

// Appliance is a running binrepd. Its methods may be called from several goroutines at a time, but Run once and Close last.
type Appliance struct {
	config    Config
	log       *slog.Logger
	steering  packets.Steering
	table     *dialog.Table
	input     *input
	output    *output
	engine    *engine.Engine
	conflicts *conflicts.Book // about sharing tags
	bridges   bridges
	history   control.History
	links     links.Watcher
	sources   sources.Book
	restarts  restarts.Watch
	trend     statuspage.Trend         // the last minutes, for the page
	expected  atomic.Pointer[[]string] // interfaces where packets must come in; nil: not known yet
	health    telemetry.Health
	metrics   *telemetry.Server // nil without a metrics address
	syncs     syncs
	proxies   *proxies.Service
	questions chan question    // of other appliances
	keeper    *keeper          // nil without Config.StateDir
	recorder  *record.Recorder // nil without Config.Record
	ready     chan struct{}    // closed by Run

	ghosts, dropped atomic.Uint64 // dialogs that were ended by hand, and because their node had dropped them

	reloading   sync.Mutex           // guards those below; one reload at a time
	backups     []egress.Destination // those of the configuration that are in force
	needRestart []string             // flags with new values that are not in force
	logLevel    slog.Level

	supervisor *supervisor // nil unless the process is the appliance's own
	// Run sets these.
	pin     atomic.Pointer[control.PinStatus]       // nil without Config.Pin
	members atomic.Pointer[[]*member.Member]        // in the order of Config.Clusters; nil before Run
	held    atomic.Pointer[control.PrivilegeStatus] // nil unless the process is the appliance's own
}

// Open makes an appliance. Its sockets are open then, so that they keep every packet from now on, but nothing reads them
// before Run. The configuration should have passed Resolve: otherwise Open attaches XDP to the named interfaces only, and
// a MaxMemory of 0 is no limit. Errors name settings as flags of `binrepd run`.
func Open(ctx context.Context, cfg Config) (_ *Appliance, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	cfg.Listen = slices.Clone(cfg.Listen) // openInput changes it
	log := cfg.Log
	if cfg.ShardsAsked != 0 {
		log.Info("shards rounded up to a multiple of the rings", "asked", cfg.ShardsAsked, "shards", cfg.Shards, "rings", cfg.Rings)
	}
	a := &Appliance{
		config: cfg, log: log, ready: make(chan struct{}), backups: slices.Clone(cfg.Replicate), logLevel: cfg.LogLevel,
		questions: make(chan question, maxQuestions),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if cfg.OwnProcess {
		if a.supervisor, err = newSupervisor(log); err != nil {
			return nil, err
		}
		makeRoom(cfg.Rings)
	}
	var key [16]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, err
	}
	a.steering = packets.Steering{K0: binary.LittleEndian.Uint64(key[:8]), K1: binary.LittleEndian.Uint64(key[8:])}
	if a.table, err = dialog.NewTable(dialog.Config{
		Shards: cfg.Shards, Tombstone: cfg.Tombstone, EarlyTimeout: cfg.EarlyTimeout, ExpiryGrace: cfg.ExpiryGrace,
		MaxDialogs: cfg.MaxDialogs, MaxBytes: int64(cfg.MaxMemory),
	}); err != nil {
		return nil, err
	}
	pin, err := openPin(&a.config)
	if err != nil {
		return nil, err
	}
	if k0, k1, ok := pin.Key(); ok {
		a.steering = packets.Steering{K0: k0, K1: k1}
	}
	if a.input, err = openInput(ctx, &a.config, pin, a.steering); err != nil {
		return nil, err
	}
	// Events that this appliance takes in carry this number to other appliances. It is another at each start, because the
	// sequence numbers begin anew.
	var origin [8]byte
	if _, err := rand.Read(origin[:]); err != nil {
		return nil, err
	}
	number := binary.LittleEndian.Uint64(origin[:]) | 1 // 0 is no number
	if a.output, err = openOutput(ctx, &a.config, a.input, number, a.lookup()); err != nil {
		return nil, err
	}
	a.conflicts, a.bridges.rules = conflicts.New(cfg.Fence, 0), cfg.Bridges
	if a.engine, err = engine.New(engine.Config{
		Table: a.table, Intakes: a.config.intakes(), Outlet: a.output.egress, Origin: number,
		Hear: a.hear, Log: log, Conflicts: a.conflicts,
		Steering: a.steering,
	}); err != nil {
		return nil, err
	}
	a.proxies = &proxies.Service{Table: a.table, Steering: a.steering, Engine: a.engine}
	a.history.StaleAfter, a.trend.StaleAfter = cfg.StaleAfter, cfg.StaleAfter
	if a.keeper, err = a.openKeeper(); err != nil {
		return nil, err
	}
	if a.metrics, err = a.openMetrics(ctx); err != nil {
		return nil, err
	}
	if a.recorder, err = openRecorder(&a.config, a.input.rings); err != nil {
		return nil, err
	}
	return a, nil
}

// Listening returns the addresses that the appliance receives at. They are those of Config.Listen, each with the port
// that it really has.
func (a *Appliance) Listening() []netip.AddrPort { return slices.Clone(a.config.Listen) }

// MetricsAddress returns the address that answers HTTP, or nil.
func (a *Appliance) MetricsAddress() net.Addr {
	if a.metrics == nil {
		return nil
	}
	return a.metrics.Address()
}

// Ready returns a channel that is closed when Run takes packets. It stays open if Run fails before that.
func (a *Appliance) Ready() <-chan struct{} { return a.ready }

// Close frees everything. It comes after Run, or in its place.
func (a *Appliance) Close() error {
	var errs []error
	if a.metrics != nil {
		errs = append(errs, a.metrics.Close())
	}
	errs = append(errs, a.closeRecorder(), a.leaveClusters())
	if a.output != nil {
		errs = append(errs, a.output.close())
	}
	if a.input != nil {
		errs = append(errs, a.input.close())
	}
	if a.table != nil {
		errs = append(errs, a.table.Close())
	}
	return errors.Join(append(errs, a.keeper.close())...)
}

// watch samples the counters once a second until ctx ends, and logs what changes.
func (a *Appliance) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	journal := control.Journal{StaleAfter: a.config.StaleAfter}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s, consumers := a.look()
			a.history.Sample(now, &s)
			a.history.Complete(now, &s)
			journal.Sample(now, &s, a.log)
			a.trend.Sample(now, &s)
			a.health.Sample(now, consumers)
		}
	}
}
