package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/telemetry"
)

// serve runs the appliance until ctx ends: it starts the parts from the table outwards, and stops them from the
// interfaces inwards, so that what was taken is applied.
func serve(ctx context.Context, o options, log *slog.Logger) (err error) {
	supervisor, err := newSupervisor(log)
	if err != nil {
		return err
	}
	a, err := newAppliance(ctx, o, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()

	if err := a.restore(ctx, log); err != nil {
		return err
	}
	if o.Load != "" {
		s, err := a.load(ctx, control.FileRequest{Path: o.Load})
		if errors.Is(err, context.Canceled) {
			return nil // asked to stop before it had begun
		}
		if err != nil {
			return err
		}
		log.Info("loaded", "file", o.Load, "records", s.Records, "changed", s.Changed, "expired", s.Expired)
	}
	server, err := control.Listen(o.Control, control.Backend{
		Status: a.status, Table: a.table, Steering: a.steering, Origin: a.engine.Origin, Sync: a.syncTo,
		End: a.end, Allowed: a.input.allowed, Allow: a.input.allow, Save: a.save, Load: a.load,
	}, log)
	if err != nil {
		return err
	}
	if err := errors.Join(giveToGroup(o.Control, socketGroup, log), a.input.attach(ctx)); err != nil {
		return errors.Join(err, server.Close())
	}
	a.held = a.dropPrivileges(log)
	// Asking and watching go on until the account is final.
	answering, stopAnswering := context.WithCancel(context.WithoutCancel(ctx))
	answered := make(chan error, 1)
	go func() { answered <- server.Serve(answering) }()
	var watching sync.WaitGroup
	watching.Go(func() { a.watch(answering) })
	watching.Go(func() { a.serveMetrics(answering, log) })
	watching.Go(func() { // not while stopping: rings that stay pinned aren't read then
		supervisor.reassure(ctx, func() []telemetry.Consumer { _, consumers := a.look(); return consumers })
	})
	stopSaving := a.keepSaving(answering, &watching)
	defer func() {
		stopAnswering()
		watching.Wait()
		err = errors.Join(err, <-answered)
	}()

	s := a.status()
	log.Info("ready", "mode", s.Mode, "fallback_reason", s.FallbackReason, "listen", o.Listen,
		"interfaces", o.Interfaces, "rings", len(a.input.rings), "shards", o.Shards, "control", o.Control)
	if len(o.Allow) == 0 {
		log.Warn("packets are taken from everyone who reaches the port: name the proxies by --allow")
	}
	supervisor.ready()

	running, stopRunning := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRunning()
	context.AfterFunc(ctx, func() {
		log.Info("stopping: draining what has arrived")
		supervisor.stopping()
		a.health.Stopping()
		a.input.detach()
		stopRunning()
	})
	err = a.engine.Run(running, a.recorded(a.input.inputs(running)))
	err = errors.Join(err, a.closeRecorder())
	logAccount(log, a.status())
	stopSaving()
	return err
}

// logAccount writes the final account.
func logAccount(log *slog.Logger, s control.Status) {
	log.Info("final account", "seen", s.Seen, "applied", s.Applied, "recovered", s.Recovered, "early", s.BeganEarly,
		"duplicate", s.Duplicate, "stale", s.Stale, "late", s.Late, "unknown", s.Unknown,
		"other_capability", s.OtherCapability, "rejected", sum(s.Rejected), "lost", sum(s.Lost),
		"dialogs", s.Dialogs, "not_recorded", notRecorded(&s))
	if sum := s.Sum(); s.Pin != nil && sum < s.Seen {
		log.Info("left pinned: the rings go on filling for the next process", "waiting", s.Seen-sum, "pin", s.Pin.Dir)
	} else if sum != s.Seen {
		log.Error("the account does not add up", "seen", s.Seen, "accounted", sum)
	}
}
