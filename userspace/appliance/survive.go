package appliance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/watch/control"
)

// openPin opens the folder of pins. It returns nil if there is none, or no XDP.
func openPin(cfg *Config) (*bpf.Pin, error) {
	if cfg.Pin == "" {
		return nil, nil
	}
	if cfg.XDP == XDPOff { // no error: hosts with XDP and without it may share their settings
		cfg.Log.Info("--pin has no effect: with --xdp off there are no rings to keep", "pin", cfg.Pin)
		return nil, unpin(cfg)
	}
	pin, err := bpf.OpenPin(cfg.Pin, bpf.Config{Rings: cfg.Rings, RingSize: cfg.RingSize, Listeners: cfg.Listen})
	if err != nil {
		return nil, fmt.Errorf("--pin: %w", err)
	}
	if pin.Reason() != "" {
		cfg.Log.Warn("what is pinned doesn't fit and will be replaced; what waits in its rings will be lost", "pin", cfg.Pin, "reason", pin.Reason())
	}
	return pin, nil
}

// unpin removes what an earlier process with XDP pinned. Its program would go on taking datagrams that no process reads.
func unpin(cfg *Config) error {
	removed, err := bpf.Unpin(cfg.Pin)
	switch {
	case errors.As(err, new(*bpf.NotBPFError)), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission) && len(removed) == 0:
		return nil // there is nothing, or nothing that this process may look at
	case err != nil:
		return fmt.Errorf("--pin: %w", err)
	case len(removed) > 0:
		cfg.Log.Warn("removed rings and attachments of an earlier process; what waited in the rings is lost", "pin", cfg.Pin, "removed", removed)
	}
	return nil
}

// discard notes in the status how much waited in rings that didn't fit and were replaced.
func (a *Appliance) discard() {
	pin, status := a.input.pin, a.pin.Load()
	if pin == nil || status == nil {
		return
	}
	n, known := pin.Discarded()
	now := *status
	now.Discarded = nil
	switch {
	case !known:
		a.log.Warn("events are lost that waited in rings which didn't fit; their number can't be told")
	case n > 0:
		a.log.Warn("events are lost that waited in rings which didn't fit", "number", n)
	}
	if known {
		now.Discarded = &n
	}
	a.pin.Store(&now)
}

// takenOver notes how much waits in rings of an earlier process.
func (in *input) takenOver() error {
	if !in.pin.Adopted() {
		return nil
	}
	c, err := in.program.Counters()
	if err != nil {
		return err
	}
	in.waited = c.Total()[bpf.Steered]
	in.log.Info("took over the rings of an earlier process", "pin", in.config.Pin, "waiting", in.waited)
	return nil
}

// inheritedLook is the time between two looks whether what was left in the rings has been applied. It is a fraction of
// the time in which the buffer of a socket fills up.
const inheritedLook = time.Millisecond

// awaitInherited returns a channel that is closed when what was left in the rings has been applied, or when ctx ends.
func (in *input) awaitInherited(ctx context.Context) <-chan struct{} {
	applied := make(chan struct{})
	left := func() (bytes uint64) {
		for _, r := range in.rings {
			bytes += r.Stats().Inherited
		}
		return bytes
	}
	if left() == 0 {
		close(applied)
		return applied
	}
	go func() {
		defer close(applied)
		tick := time.NewTicker(inheritedLook)
		defer tick.Stop()
		for begin := time.Now(); left() > 0; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if left() == 0 {
				in.log.Info("applied what had waited in the rings", "records", in.waited, "took", time.Since(begin))
			}
		}
	}()
	return applied
}

// after is a source that starts when first is closed, or when it is stopped: then what has arrived is received without
// waiting any longer.
type after struct {
	packets.Source
	first <-chan struct{}

	mu      sync.Mutex // guards stopped
	stopped chan struct{}
}

func (a *after) Receive(b *packets.Batch) error {
	if a.first != nil {
		select {
		case <-a.first:
		case <-a.stop(false):
		}
		a.first = nil
	}
	return a.Source.Receive(b)
}

// Stop implements packets.Source.
func (a *after) Stop() {
	a.stop(true)
	a.Source.Stop()
}

// stop returns a channel that is closed by the first call with now.
func (a *after) stop(now bool) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped == nil {
		a.stopped = make(chan struct{})
	}
	if now {
		select {
		case <-a.stopped:
		default:
			close(a.stopped)
		}
	}
	return a.stopped
}

// openKeeper returns the keeper of the table, nil without a folder for it.
func (a *Appliance) openKeeper() (*keeper, error) {
	if a.config.StateDir == "" {
		return nil, nil
	}
	k := &keeper{
		dir: a.config.StateDir, every: a.config.SaveInterval, log: a.log, table: a.table, sources: &a.sources,
		origin: a.engine.Sender, steering: a.steering,
		consumed: a.input.consumed,
		mark: func(generation int, saved time.Time, consumed uint64) error {
			if a.input.pin == nil || a.input.program == nil {
				return nil
			}
			overflows, _, err := a.input.program.Overflows()
			return errors.Join(err, a.input.pin.Mark(generation, saved, consumed, overflows))
		},
	}
	if err := k.open(); err != nil {
		return nil, err
	}
	return k, nil
}

// consumed returns how many records of the rings have been applied, including those that earlier processes applied.
func (in *input) consumed() (n uint64) {
	for _, r := range in.rings {
		n += r.Stats().Consumed
	}
	return n
}

// restore loads the table that an earlier process saved, and finds out how much of its work is lost.
func (a *Appliance) restore(ctx context.Context) error {
	var saved time.Time
	if a.keeper != nil {
		var err error
		if saved, err = a.keeper.restore(ctx, a.engine.OriginNumber); err != nil {
			return errors.Join(errors.New("stopped while the table was being restored"), err)
		}
	}
	pin := a.input.pin
	if pin == nil {
		return nil
	}
	status := control.PinStatus{Dir: a.config.Pin, Adopted: pin.Adopted(), Reason: pin.Reason(), Waited: a.input.waited}
	defer func() { a.pin.Store(&status) }()
	if !pin.Adopted() {
		return nil
	}
	included, marked, _ := pin.Marked(saved) // 0 if nothing is known: all is lost
	status.Unsaved = a.input.consumed() - min(included, a.input.consumed())
	if status.Unsaved > 0 {
		a.log.Warn("events are lost that the earlier process applied after the save that was restored", "at_most", status.Unsaved)
	}
	if a.input.program == nil { // XDP failed this time, and what was pinned is gone
		return nil
	}
	_, before, err := a.input.program.Overflows()
	if err != nil {
		return err
	}
	status.Overflowed = before - min(marked, before)
	if status.Overflowed > 0 {
		a.log.Warn("events are lost that found the rings full since the save that was restored", "at_most", status.Overflowed)
	}
	return nil
}

// keepSaving saves the table at intervals until stop is called, which saves it a last time.
func (a *Appliance) keepSaving(ctx context.Context, group *sync.WaitGroup) (stop func()) {
	if a.keeper == nil {
		return func() {}
	}
	saving, stopSaving := context.WithCancel(ctx)
	done := make(chan struct{})
	group.Go(func() {
		defer close(done)
		a.keeper.run(saving)
	})
	return func() {
		stopSaving()
		<-done
		a.keeper.save(context.WithoutCancel(ctx))
		s := a.keeper.state()
		a.keeper.log.Info("last save", "dialogs", s.SavedDialogs, "bytes", s.SavedBytes, "seconds", s.SaveSeconds, "error", s.Error)
	}
}

// survivalStatus fills in what outlives the process, and the privileges.
func (a *Appliance) survivalStatus(s *control.Status) {
	if pin := a.pin.Load(); pin != nil {
		copied := *pin
		s.Pin = &copied
	}
	s.State = a.keeper.state()
	s.Privileges = a.held.Load()
}
