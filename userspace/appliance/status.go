package appliance

import (
	"os"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/control"
)

// Status returns what the appliance holds, what it received and what it lost.
func (a *Appliance) Status() control.Status {
	s := a.counters()
	a.history.Complete(time.Now(), &s)
	return s
}

// counters puts together what the parts know.
func (a *Appliance) counters() control.Status {
	e := a.engine.Status()
	return a.countersOf(&e)
}

// countersOf is counters with a status of the engine that the caller has already.
func (a *Appliance) countersOf(e *engine.Status) control.Status {
	in := a.input.status()
	s := control.Status{
		Version: a.config.Version, PID: os.Getpid(), Started: e.Started,
		Mode: in.mode, FallbackReason: in.reason, Interfaces: in.interfaces,
		Dialogs:  uint64(e.Table.Live()),
		Answered: uint64(e.Table.Answered), Confirmed: uint64(e.Table.Confirmed),
		Early: uint64(e.Table.Early), Tombstones: uint64(e.Table.Tombstones),
		Memory: control.Memory{
			Records: uint64(e.Table.Bytes), Used: uint64(e.Table.Dealt), Mapped: uint64(e.Table.Mapped),
			Limit: uint64(e.Table.Limit),
		},
		MaxDialogs: uint64(a.config.MaxDialogs),
		Expired: control.Expired{
			Live: uint64(e.Expired.Live), Early: uint64(e.Expired.Early), Tombstones: uint64(e.Expired.Tombstones),
			Waiting: uint64(e.Expired.Waiting),
			Ghosts:  a.ghosts.Load(), Dropped: a.dropped.Load(),
		},
		ClampedTimeouts: e.Table.Clamped, ClockAhead: e.ClockAhead.Seconds(),
		Capabilities: e.Capabilities,
		Rings:        in.rings,
		Listeners:    make([]control.ListenerStatus, len(in.listeners)),
		Sources:      []control.SourceStatus{},
		Nodes:        []control.NodeStatus{},
	}
	s.SetLatency(&e.Latency)
	total := e.Total()
	s.CreateRecv, s.UpdateRecv, s.DeleteRecv = total.Kind(dialog.Create), total.Kind(dialog.Update), total.Kind(dialog.Delete)
	var seen, denied uint64
	lost := map[string]uint64{}
	for i := range in.listeners {
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
	for _, src := range e.Sources {
		out := control.NewSource(src)
		if r, ok := a.restarts.Of(src.Sender); ok {
			out.Restarts, out.Restarted = r.Count, r.Before
		}
		s.Sources = append(s.Sources, out)
	}
	s.Sources = a.sources.Complete(s.Sources)
	refused := a.clusterStatus(&s, e)
	for i := range s.Clusters {
		seen += s.Clusters[i].Account.Seen
		for reason, n := range s.Clusters[i].Account.Lost {
			lost[reason] += n
		}
	}
	s.Account = control.NewAccount(seen, &total, denied, lost)
	if len(s.Clusters) > 0 {
		s.Account.Rejected[control.NotMember] = refused
	}
	a.linkStatus(&s)
	for _, n := range e.Nodes {
		s.Nodes = append(s.Nodes, control.NewNode(n))
	}
	a.input.refusals(&s)
	a.output.status(&s)
	a.syncs.status(&s)
	a.proxies.Status(&s)
	a.survivalStatus(&s)
	a.recordStatus(&s)
	if a.config.LogLost != nil {
		s.LogLost = a.config.LogLost()
	}
	return s
}

// sum adds up counts by reason.
func sum(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}
