package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/trace/record"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/statuspage"
	"binrepd/userspace/watch/telemetry"
)

// appliance is all parts of a running binrepd.
type appliance struct {
	options  options
	steering packets.Steering
	table    *dialog.Table
	input    *input
	output   *output
	engine   *engine.Engine
	history  control.History
	trend    statuspage.Trend // the last minutes, for the page
	health   telemetry.Health
	metrics  *telemetry.Server // nil without a metrics address
	syncs    syncs
	keeper   *keeper // nil without --state-dir
	pin      control.PinStatus
	held     control.PrivilegeStatus
	recorder *record.Recorder // nil without --record
	log      *slog.Logger
}

// newAppliance makes the parts. Sockets are open then, so that nothing sent from now on is missed, but nothing runs.
func newAppliance(ctx context.Context, o options, log *slog.Logger) (*appliance, error) {
	a := &appliance{options: o, log: log}
	var key [16]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, err
	}
	a.steering = packets.Steering{K0: binary.LittleEndian.Uint64(key[:8]), K1: binary.LittleEndian.Uint64(key[8:])}
	var err error
	if a.table, err = dialog.NewTable(dialog.Config{
		Shards: o.Shards, Tombstone: o.Tombstone, EarlyTimeout: o.EarlyTimeout, ExpiryGrace: o.ExpiryGrace,
		MaxDialogs: o.MaxDialogs, MaxBytes: int64(o.MaxMemory),
	}); err != nil {
		return nil, err
	}
	pin, err := openPin(o, log)
	if err != nil {
		return nil, errors.Join(err, a.table.Close())
	}
	if k0, k1, ok := pin.Key(); ok {
		a.steering = packets.Steering{K0: k0, K1: k1}
	}
	if a.input, err = openInput(ctx, o, pin, a.steering, log); err != nil {
		return nil, errors.Join(err, a.table.Close())
	}
	if a.output, err = openOutput(ctx, o, a.input, log); err != nil {
		return nil, errors.Join(err, a.input.close(), a.table.Close())
	}
	if a.engine, err = engine.New(engine.Config{
		Table: a.table, Intakes: packets.Listeners(o.Listen), Outlet: a.output.egress, Log: log,
	}); err != nil {
		return nil, errors.Join(err, a.close())
	}
	a.history.StaleAfter, a.trend.StaleAfter = o.StaleAfter, o.StaleAfter
	if a.keeper, err = a.openKeeper(log); err != nil {
		return nil, errors.Join(err, a.close())
	}
	if a.metrics, err = a.openMetrics(ctx, log); err != nil {
		return nil, errors.Join(err, a.close())
	}
	if a.recorder, err = openRecorder(&a.options, a.input.rings, log); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *appliance) close() error {
	return errors.Join(a.metrics.Close(), a.closeRecorder(), a.output.close(), a.input.close(), a.table.Close(), a.keeper.close())
}

// watch remembers the counters, second by second, until ctx ends.
func (a *appliance) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s, consumers := a.look()
			a.history.Sample(now, &s)
			a.trend.Sample(now, &s)
			a.health.Sample(now, consumers)
		}
	}
}

// status is what the control socket shows.
func (a *appliance) status() control.Status {
	s := a.counters()
	a.history.Complete(time.Now(), &s)
	return s
}

// counters puts together what the parts know.
func (a *appliance) counters() control.Status {
	e := a.engine.Status()
	return a.countersOf(&e)
}

func (a *appliance) countersOf(e *engine.Status) control.Status {
	in := a.input.status()
	version, _ := buildVersion()
	s := control.Status{
		Version: version, PID: os.Getpid(), Started: e.Started,
		Mode: in.mode, FallbackReason: in.reason, Interfaces: in.interfaces,
		Dialogs:  uint64(e.Table.Live()),
		Answered: uint64(e.Table.Answered), Confirmed: uint64(e.Table.Confirmed),
		Early: uint64(e.Table.Early), Tombstones: uint64(e.Table.Tombstones),
		Memory: control.Memory{
			Records: uint64(e.Table.Bytes), Used: uint64(e.Table.Dealt), Mapped: uint64(e.Table.Mapped),
			Limit: uint64(e.Table.Limit),
		},
		MaxDialogs: uint64(a.options.MaxDialogs),
		Expired: control.Expired{
			Live: uint64(e.Expired.Live), Early: uint64(e.Expired.Early), Tombstones: uint64(e.Expired.Tombstones),
			Ghosts: e.Ended,
		},
		ClampedTimeouts: e.Table.Clamped, ClockAhead: e.ClockAhead.Seconds(),
		Capabilities: e.Capabilities,
		Rings:        in.rings,
		Latency:      control.NewLatency(&e.Latency),
		Listeners:    make([]control.ListenerStatus, len(e.Intakes)),
		Sources:      []control.SourceStatus{},
	}
	total := e.Total()
	s.CreateRecv, s.UpdateRecv, s.DeleteRecv = total.Kind(dialog.Create), total.Kind(dialog.Update), total.Kind(dialog.Delete)
	var seen, denied uint64
	lost := map[string]uint64{}
	for i := range e.Intakes {
		l := in.listeners[i]
		l.Address = e.Intakes[i].Address.String()
		l.Account = control.NewAccount(l.Seen, &e.Intakes[i].Account, l.Denied, l.Lost)
		seen += l.Seen
		denied += l.Denied
		for reason, n := range l.Lost {
			lost[reason] += n
		}
		s.Listeners[i] = l
	}
	s.Account = control.NewAccount(seen, &total, denied, lost)
	for _, src := range e.Sources {
		s.Sources = append(s.Sources, control.NewSource(src))
	}
	a.input.refusals(&s)
	a.output.status(&s)
	a.syncs.status(&s)
	a.survivalStatus(&s)
	a.recordStatus(&s)
	return s
}
