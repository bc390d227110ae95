package appliance

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"binrepd/dialog"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/telemetry"
)

// socketGroup is the group that may use the control socket, if the host has such a group.
const socketGroup = "binrepd"

// Run restores what was saved, then receives until ctx ends, and shuts down cleanly. It starts the parts from the table
// outwards and stops them from the interfaces inwards, so that it applies every packet that it took. At the end it saves
// the table, if there is a folder for that, and logs the final account.
func (a *Appliance) Run(ctx context.Context) (err error) {
	cfg, log := &a.config, a.log
	if err := a.restore(ctx); err != nil {
		return err
	}
	if cfg.Load != "" {
		s, err := a.LoadFile(ctx, control.FileRequest{Path: cfg.Load})
		if errors.Is(err, context.Canceled) {
			return nil // stopped before it had begun
		}
		if err != nil {
			return err
		}
		log.Info("loaded", "file", cfg.Load, "records", s.Records, "changed", s.Changed, "expired", s.Expired)
	}
	if err := a.joinClusters(ctx); err != nil {
		return err
	}
	server, err := a.openControl()
	if err != nil {
		return err
	}
	if err := a.input.attach(ctx); err != nil {
		return errors.Join(err, server.close())
	}
	a.discard()
	if cfg.OwnProcess {
		a.held.Store(a.dropPrivileges())
	}
	// Commands get answers, and samples are taken, until the account is final.
	answering, stopAnswering := context.WithCancel(context.WithoutCancel(ctx))
	answered := make(chan error, 1)
	go func() { answered <- server.serve(answering) }()
	var watching sync.WaitGroup
	watching.Go(func() { a.watch(answering) })
	watching.Go(func() { a.watchLinks(answering) })
	watching.Go(func() { a.watchRestarts(answering) })
	watching.Go(func() { a.answerQuestions(answering) })
	watching.Go(func() { a.serveMetrics(answering) })
	watching.Go(func() { // ends before the shutdown, which leaves rings that stay pinned unread
		a.supervisor.reassure(ctx, func() []telemetry.Consumer { _, consumers := a.look(); return consumers })
	})
	watching.Go(func() { a.proxies.Run(ctx, cfg.Audits, log) })
	if cfg.SyncOnReturn {
		watching.Go(func() { a.syncReturned(ctx) })
	}
	if len(cfg.Bridges) > 0 {
		watching.Go(func() { a.bridgeClusters(answering) })
	}
	stopSaving := a.keepSaving(answering, &watching)
	defer func() {
		stopAnswering()
		watching.Wait()
		err = errors.Join(err, <-answered)
	}()

	s := a.Status()
	var interfaces []string
	for _, i := range s.Interfaces {
		interfaces = append(interfaces, i.Name)
	}
	log.Info("ready", "mode", s.Mode, "fallback_reason", s.FallbackReason, "listen", cfg.Listen,
		"interfaces", interfaces, "rings", len(a.input.rings), "shards", cfg.Shards, "control", cfg.Control)
	if len(cfg.Allow) == 0 && len(cfg.Listen) > 0 {
		log.Warn("packets are taken from everyone who reaches the port: name the proxies by --allow")
	}
	a.supervisor.ready()
	close(a.ready)

	running, stopRunning := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRunning()
	context.AfterFunc(ctx, func() {
		log.Info("stopping: draining what has arrived")
		a.supervisor.stopping()
		a.health.Stopping()
		a.input.detach()
		stopRunning()
	})
	err = a.engine.Run(running, append(a.recorded(a.input.inputs(running)), a.clusterInputs()...))
	err = errors.Join(err, a.closeRecorder())
	logAccount(log, a.Status())
	stopSaving()
	return err
}

// controlServer is the control socket, or nothing if Config.Control is empty.
type controlServer struct{ *control.Server }

// openControl takes the control socket.
func (a *Appliance) openControl() (controlServer, error) {
	if a.config.Control == "" {
		return controlServer{}, nil
	}
	s, err := control.Listen(a.config.Control, control.Backend{
		Status: a.Status, Table: a.table, Steering: a.steering, Origin: a.engine.Origin, Sender: a.engine.Sender, Sync: a.Sync,
		Backups: a.Backups, ChangeBackups: a.ChangeBackups, ChangeSources: a.ChangeSources,
		End: a.endByHand, Allowed: a.Allowed, Allow: a.Allow, Save: a.SaveFile, Load: a.LoadFile, Folder: a.config.StateDir,
		Reload:      a.Reload,
		More:        a.proxies.Routes(),
		SyncCluster: a.SyncCluster, Profiles: a.Profiles, Doubts: a.Doubts, Conflicts: a.conflicts,
	}, a.log)
	if err != nil {
		return controlServer{}, err
	}
	if err := giveToGroup(a.config.Control, socketGroup, a.log); err != nil {
		return controlServer{}, errors.Join(err, s.Close())
	}
	return controlServer{s}, nil
}

// serve answers until ctx ends.
func (s controlServer) serve(ctx context.Context) error {
	if s.Server == nil {
		return nil
	}
	return s.Serve(ctx)
}

func (s controlServer) close() error {
	if s.Server == nil {
		return nil
	}
	return s.Close()
}

// endByHand ends a dialog for an operator.
func (a *Appliance) endByHand(name dialog.Name, still func(*dialog.View) bool) bool {
	ended := a.end(name, still)
	if ended {
		a.ghosts.Add(1)
	}
	return ended
}

// end ends one dialog, as a deletion would.
func (a *Appliance) end(name dialog.Name, still func(*dialog.View) bool) bool {
	return a.engine.End(a.steering.CallID(name.CallID()), name, still)
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

// notRecorded returns how many packets are missing from the recording.
func notRecorded(s *control.Status) uint64 {
	if s.Record == nil {
		return 0
	}
	return sum(s.Record.Dropped)
}
