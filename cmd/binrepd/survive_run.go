package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/watch/control"
)

// openPin opens the folder of pins, if there is to be one.
func openPin(o options, log *slog.Logger) (*bpf.Pin, error) {
	if o.Pin == "" {
		return nil, nil
	}
	if o.XDP == xdpOff { // no error: one file of settings may serve a host with XDP and one without
		log.Info("--pin has no effect: with --xdp off there are no rings to keep", "pin", o.Pin)
		return nil, nil
	}
	pin, err := bpf.OpenPin(o.Pin, bpf.Config{Rings: o.Rings, RingSize: o.RingSize, Listeners: o.Listen})
	if err != nil {
		return nil, fmt.Errorf("--pin: %w", err)
	}
	if pin.Reason() != "" {
		log.Warn("what is pinned doesn't fit and is replaced; what waits in its rings is lost", "pin", o.Pin, "reason", pin.Reason())
	}
	return pin, nil
}

// takenOver finds out how much waits in rings that were taken over.
func (in *input) takenOver() error {
	if !in.pin.Adopted() {
		return nil
	}
	c, err := in.program.Counters()
	if err != nil {
		return err
	}
	in.waited = c.Total()[bpf.Steered]
	in.log.Info("took over the rings of an earlier process", "pin", in.options.Pin, "waiting", in.waited)
	return nil
}

// inheritedLook is how often to look whether what was left in the rings has been applied: a fraction of what the socket's
// buffer lasts.
const inheritedLook = time.Millisecond

// awaitInherited returns a channel that is closed when what was left in the rings has been applied, or ctx ends.
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

// after is a source whose turn comes when first is closed.
type after struct {
	packets.Source
	first <-chan struct{}
}

func (a *after) Receive(b *packets.Batch) error {
	if a.first != nil {
		<-a.first
		a.first = nil
	}
	return a.Source.Receive(b)
}

// openKeeper makes the keeper of the table, if there is to be one.
func (a *appliance) openKeeper(log *slog.Logger) (*keeper, error) {
	if a.options.StateDir == "" {
		return nil, nil
	}
	k := &keeper{
		dir: a.options.StateDir, every: a.options.SaveInterval, log: log, table: a.table,
		origin: a.engine.Origin, steering: a.steering,
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

// consumed returns how many records of the rings have been applied, by earlier processes, too.
func (in *input) consumed() (n uint64) {
	for _, r := range in.rings {
		n += r.Stats().Consumed
	}
	return n
}

// restore brings back the table of an earlier process, and says what of its work is lost.
func (a *appliance) restore(ctx context.Context, log *slog.Logger) error {
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
	a.pin = control.PinStatus{Dir: a.options.Pin, Adopted: pin.Adopted(), Reason: pin.Reason(), Waited: a.input.waited}
	if !pin.Adopted() {
		return nil
	}
	included, marked, _ := pin.Marked(saved) // 0 where nothing is known: all is lost
	a.pin.Unsaved = a.input.consumed() - min(included, a.input.consumed())
	if a.pin.Unsaved > 0 {
		log.Warn("events are lost that the earlier process applied after the save that was restored", "at_most", a.pin.Unsaved)
	}
	if a.input.program == nil { // there is no XDP any more, and what was pinned is gone
		return nil
	}
	_, before, err := a.input.program.Overflows()
	if err != nil {
		return err
	}
	a.pin.Overflowed = before - min(marked, before)
	if a.pin.Overflowed > 0 {
		log.Warn("events are lost that found the rings full since the save that was restored", "at_most", a.pin.Overflowed)
	}
	return nil
}

// keepSaving saves the table now and then until the function is called that it returns, which saves it a last time.
func (a *appliance) keepSaving(ctx context.Context, group *sync.WaitGroup) (stop func()) {
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

func (a *appliance) survivalStatus(s *control.Status) {
	if a.input.pin != nil {
		pin := a.pin
		s.Pin = &pin
	}
	s.State = a.keeper.state()
	held := a.held
	s.Privileges = &held
}
