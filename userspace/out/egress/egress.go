package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/wire/bin1"
)

// DefaultJournal is the size of the journal. With packets of 410 bytes it holds 140,000 changes: over a second of the busiest site's
// traffic, and 14 s at 10,000 changes a second. Memory is taken as it fills.
const DefaultJournal = 64 << 20

// Errors that callers branch on.
var (
	ErrExists  = errors.New("is already a destination")
	ErrUnknown = errors.New("is no destination")
	ErrOwn     = errors.New("is an address of this appliance itself")
)

// Resolver finds the addresses of a host name.
type Resolver func(ctx context.Context, host string) ([]netip.Addr, error)

// Config of an Egress. Sink is required.
type Config struct {
	Sink packets.Sink
	// Journal is the size in bytes of the memory that the destinations share; 0 means DefaultJournal, at least 1 MiB.
	Journal int
	// Origin is the number of this appliance in the stamps of its changes. 0: destinations aren't asked whether they are a binrepd,
	// and none gets stamps.
	Origin uint64
	// AnswerPort is the UDP port at which answers to such questions come in, and are given to Hear; 0: that of Sink.
	AnswerPort uint16
	// Own tells whether this appliance itself receives at an address, which then can't be a destination; nil: none is known to.
	Own func(netip.AddrPort) bool
	// Convert makes dialogs of generation 2 ones of generation 1 for destinations that are no binrepd; nil: they are held back.
	Convert shield.Dialogs
	// Resolve finds addresses; nil means the system's resolver.
	Resolve Resolver
	// Log receives the changes of state of destinations; nil means slog.Default.
	Log *slog.Logger
}

// Destination is where changes go.
type Destination struct {
	// Address is HOST:PORT. A name is resolved in the background.
	Address string
	// Rate is the most packets a second; 0 means no limit.
	Rate int
	// Policy says what is changed on the way out.
	Policy shield.Policy
}

// Egress is the fan-out: a changes.Outlet with any number of destinations.
type Egress struct {
	cfg     Config
	journal *journal
	running sync.WaitGroup
	closing chan struct{}
	unwatch func() // ends the reports of the sink

	questions chan question

	// targets is used, and sent is written, with the journal's lock held.
	targets []target // one for each destination
	sent    [dialog.Kinds]atomic.Uint64

	mu           sync.RWMutex // guards what is below; may be held when the journal's lock is taken, not the reverse
	destinations []*destination
	closed       bool
}

// New returns an Egress without destinations. It must be closed.
func New(cfg Config) (*Egress, error) {
	if cfg.Sink == nil {
		return nil, errors.New("egress: no sink")
	}
	if cfg.Journal == 0 {
		cfg.Journal = DefaultJournal
	}
	if cfg.Journal < minSegments*segmentSize {
		return nil, fmt.Errorf("egress: a journal of %d bytes is too small, at least %d", cfg.Journal, minSegments*segmentSize)
	}
	if cfg.Resolve == nil {
		cfg.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Own == nil {
		cfg.Own = func(netip.AddrPort) bool { return false }
	}
	e := &Egress{
		cfg: cfg, closing: make(chan struct{}), unwatch: func() {}, questions: make(chan question, maxAnswers),
		journal: newJournal(cfg.Journal/segmentSize, segmentSize),
	}
	if r, ok := cfg.Sink.(packets.Reporter); ok {
		e.unwatch = r.Watch(e.failed)
	}
	if cfg.Origin != 0 {
		e.running.Go(e.answer)
	}
	return e, nil
}

// Forward implements changes.Outlet: it copies the changes into the journal and wakes the Tails that wait for them.
func (e *Egress) Forward(list []changes.Change) {
	j := e.journal
	// A Tail that is opened at this moment need not see these: they are in the table already, which is read after the Tail was
	// opened.
	if j.readers.Load() == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var sent [dialog.Kinds]uint64
	for i := range list {
		c := &list[i]
		j.appendLocked(c)
		if e.goesOutLocked(c) {
			kind := c.Kind
			switch {
			case c.State == dialog.Ended:
				kind = dialog.Delete
			case kind == dialog.Chunk:
				kind = dialog.Update
			}
			sent[kind]++
		}
	}
	for kind, n := range sent {
		if n > 0 {
			e.sent[kind].Store(e.sent[kind].Load() + n)
		}
	}
	j.wakeLocked()
}

// target is a destination, as far as Forward knows it.
type target struct {
	endpoint packets.Endpoint // zero if it is unknown
	peer     bool             // it is another binrepd
	converts bool             // it gets dialogs of generation 2 converted
}

// goesOutLocked tells whether the change is passed on to at least one destination.
func (e *Egress) goesOutLocked(c *changes.Change) bool {
	generation2 := c.Layout != bin1.Layout
	if c.State.BeingSetUp() && !generation2 || c.Confirms { // the shield holds it back, or only appliances need it
		return false
	}
	for i := range e.targets {
		if t := &e.targets[i]; !cameFrom(c, t.endpoint) && (t.peer || t.converts || !generation2) {
			return true
		}
	}
	return false
}

// cameFrom tells whether the change came from that endpoint, to which it then doesn't go back.
func cameFrom(c *changes.Change, to packets.Endpoint) bool {
	return to.Port != 0 && c.Sender.Endpoint == to
}

// Add adds a destination, to which everything goes that is forwarded from now on.
func (e *Egress) Add(cfg Destination) error {
	d, err := e.newDestination(cfg)
	if err != nil {
		return fmt.Errorf("destination %q: %w", cfg.Address, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return fmt.Errorf("destination %q: %w", cfg.Address, net.ErrClosed)
	case slices.ContainsFunc(e.destinations, func(o *destination) bool { return o.cfg.Address == cfg.Address }):
		return fmt.Errorf("%s %w", cfg.Address, ErrExists)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.tail = e.journal.tail()
	e.destinations = append(e.destinations, d)
	e.aimLocked()
	e.running.Go(func() { d.watch(ctx) })
	e.running.Go(func() { d.greetUntil(ctx) })
	e.running.Go(func() {
		defer cancel() // the others end with run
		d.run(ctx)
	})
	return nil
}

// Remove removes a destination. What it had not been sent is given up.
func (e *Egress) Remove(address string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.destinations, func(o *destination) bool { return o.cfg.Address == address })
	if i < 0 {
		return fmt.Errorf("%s %w", address, ErrUnknown)
	}
	e.destinations[i].cancel()
	e.destinations = slices.Delete(e.destinations, i, i+1)
	e.aimLocked()
	return nil
}

// Pause makes a destination wait, or go on. What it waits for stays in the journal, as long as that has room.
func (e *Egress) Pause(address string, on bool) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	i := slices.IndexFunc(e.destinations, func(o *destination) bool { return o.cfg.Address == address })
	if i < 0 {
		return fmt.Errorf("%s %w", address, ErrUnknown)
	}
	e.destinations[i].pause(on)
	return nil
}

// Syncing is called when a sync to an endpoint begins. The function that it returns is called when all of it has been sent: what the
// destinations there lacked when it began has been made good then. peer says that another binrepd answered, to which dialogs of
// generation 2 were sent, too.
func (e *Egress) Syncing(to packets.Endpoint) (done func(peer bool)) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var list []func(peer bool)
	for _, d := range e.destinations {
		if d.target() == to {
			list = append(list, d.syncing())
		}
	}
	return func(peer bool) {
		for _, done := range list {
			done(peer)
		}
	}
}

func (d *destination) syncing() (done func(peer bool)) {
	_, dropped := d.tail.standing()
	report := d.shield.Report()
	d.mu.Lock()
	defer d.mu.Unlock()
	count := d.gap.count
	return func(peer bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if peer {
			d.gap.withheld = max(d.gap.withheld, withheld(&report))
		}
		d.gap.synced, d.gap.dropped = max(d.gap.synced, count), max(d.gap.dropped, dropped)
		if d.gap.synced == d.gap.count {
			d.gap.away, d.gap.moved = 0, false
		}
	}
}

// aim tells Forward where the destinations are. It is called when that has changed.
func (e *Egress) aim() {
	e.mu.RLock()
	defer e.mu.RUnlock()
	e.aimLocked()
}

func (e *Egress) aimLocked() {
	targets := make([]target, len(e.destinations))
	for i, d := range e.destinations {
		targets[i] = d.aimed()
	}
	e.journal.mu.Lock()
	e.targets = targets
	e.journal.mu.Unlock()
}

// failed takes what the sink reported about a message sent to an endpoint.
func (e *Egress) failed(to packets.Endpoint, err error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, d := range e.destinations {
		if d.target() == to {
			d.failed(err)
		}
	}
}

// Tail opens a reading position for what is forwarded from now on.
func (e *Egress) Tail() *Tail { return e.journal.tail() }

// Close sends what still waits, until ctx ends at the latest, and ends all goroutines. Forward must not be called any more.
func (e *Egress) Close(ctx context.Context) {
	e.mu.Lock()
	destinations := e.destinations
	if !e.closed {
		e.closed = true
		close(e.closing)
		e.journal.close()
	}
	e.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		for _, d := range destinations {
			d.cancel()
		}
	})
	defer stop()
	e.running.Wait()
	e.unwatch()
}
