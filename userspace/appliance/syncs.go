package appliance

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/host/hostport"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/resync"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/out/snapshot"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/telemetry"
)

// syncs are the running sessions that send the table to a standby, any number of them, and counts of those that ended.
type syncs struct {
	mu      sync.Mutex
	running []*runningSync
	done    telemetry.Syncs
	// last is when the last complete sync to a standby began, in Unix seconds.
	last map[packets.Endpoint]uint32
}

// maxStandbys bounds the memory for standbys that were synced to.
const maxStandbys = 256

type runningSync struct {
	to       string
	started  time.Time
	progress control.SyncProgress // guarded by syncs.mu
}

// Sync sends the table to a standby until it is done or ctx ends, and calls progress now and then. A wrong request is a
// *control.RequestError. Only an appliance that runs can be synced: changes during the sync follow it.
func (a *Appliance) Sync(ctx context.Context, req control.SyncRequest, progress func(control.SyncProgress)) (control.SyncSummary, error) {
	if req.Node != 0 {
		return a.push(ctx, req, progress)
	}
	summary := control.SyncSummary{To: req.To, DryRun: req.DryRun}
	cfg, err := a.syncConfig(ctx, req)
	if err != nil {
		return summary, &control.RequestError{Err: err}
	}
	r := &runningSync{to: req.To, started: time.Now()}
	cfg.OnProgress = func(p resync.Progress) {
		now := syncProgress(&p)
		a.syncs.mu.Lock()
		r.progress = now
		a.syncs.mu.Unlock()
		progress(now)
	}
	if !req.DryRun {
		p, err := newPeer(cfg.Sink, cfg.To)
		if err != nil {
			return summary, fmt.Errorf("sync: a port for answers: %w", err)
		}
		defer p.Close()
		cfg.Peer, cfg.Reach, cfg.AllEndsToPeer = p, p.reach, req.Ends == control.EndsRecent || req.Ends == ""
	}
	session, err := resync.New(cfg)
	if err != nil {
		return summary, &control.RequestError{Err: err}
	}
	defer a.syncs.begin(r)()
	complete := a.output.egress.Syncing(cfg.To)
	done, err := session.Run(ctx)
	if !req.DryRun {
		a.syncs.count(done.Complete, done.Duration)
		if done.Complete && req.Filter == "" {
			complete(done.Peer)
		}
	}
	if !req.DryRun && req.Filter == "" && done.Complete {
		a.syncs.remember(cfg.To, r.started)
	}
	return syncSummary(req, &done), err
}

// begin notes that a sync runs, until the function that it returns is called.
func (s *syncs) begin(r *runningSync) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = append(s.running, r)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running = slices.DeleteFunc(s.running, func(o *runningSync) bool { return o == r })
	}
}

// count notes how a sync ended.
func (s *syncs) count(complete bool, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !complete {
		s.done.Failed++
		return
	}
	s.done.Complete++
	s.done.Duration.Observe(took.Nanoseconds())
}

// remember notes that a standby has everything that the table had at the moment began.
func (s *syncs) remember(to packets.Endpoint, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || len(s.last) >= maxStandbys {
		s.last = map[packets.Endpoint]uint32{}
	}
	s.last[to] = uint32(began.Unix())
}

// endsFrom returns the moment from which on ends are sent to a standby. A backup that every change goes to can know every call. Any
// other standby knows only what an earlier sync brought.
func (a *Appliance) endsFrom(ends string, to packets.Endpoint) (uint32, error) {
	switch ends {
	case control.EndsAll:
		return 0, nil
	case control.EndsNone:
		return resync.NoEnds, nil
	case control.EndsRecent, "":
	default:
		return 0, fmt.Errorf("--ends %q: neither recent nor all nor none", ends)
	}
	for _, d := range a.output.egress.Status().Destinations {
		if d.Endpoint.IsValid() && packets.EndpointOf(d.Endpoint) == to {
			return 0, nil
		}
	}
	a.syncs.mu.Lock()
	defer a.syncs.mu.Unlock()
	if from, ok := a.syncs.last[to]; ok {
		return from, nil
	}
	return uint32(time.Now().Unix()), nil
}

// ended returns how many syncs ended, and how.
func (s *syncs) ended() telemetry.Syncs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// syncConfig checks a request and looks up the address of the standby.
func (a *Appliance) syncConfig(ctx context.Context, req control.SyncRequest) (resync.Config, error) {
	rewrites, err := shield.ParseRewrites(req.Rewrites)
	if err != nil {
		return resync.Config{}, err
	}
	cfg := resync.Config{
		Table: a.table, Sink: a.output.sink, Rate: req.Rate, Passes: req.Passes, Replace: req.Replace, DryRun: req.DryRun,
		OpenTail: func() resync.Tail { return a.output.egress.Tail() },
		Policy:   shield.Policy{Rewrites: rewrites, ClearByeOnTimeout: req.ClearByeOnTimeout},
	}
	if !req.NoConvert {
		cfg.Policy.Convert = a.lookup()
	}
	if req.Filter != "" {
		f, err := parseFilter(req.Filter)
		if err != nil {
			return resync.Config{}, err
		}
		cfg.Filter = func(s resync.Subject) bool {
			if s.Kind == dialog.Delete || s.State == dialog.Ended {
				return f.ChoosesEnd(dialog.Name{Layout: s.Layout, Deletion: s.Name}, a.engine.Sender(s.Origin))
			}
			return f.Chooses(s.State, s.Layout, s.Body, a.engine.Sender(s.Origin))
		}
	}
	target, err := hostport.Parse(req.To)
	if err != nil {
		return resync.Config{}, err
	}
	to, err := target.Resolve(ctx)
	if err != nil {
		return resync.Config{}, err
	}
	if isOwn(a.config.Listen, to) {
		return resync.Config{}, fmt.Errorf("%s is an address of this appliance itself", req.To)
	}
	cfg.To = packets.EndpointOf(to)
	cfg.Steering, cfg.Sender = a.steering, a.engine.Sender
	if cfg.EndsFrom, err = a.endsFrom(req.Ends, cfg.To); err != nil {
		return resync.Config{}, err
	}
	return cfg, nil
}

// parseFilter reads the filter of a request.
func parseFilter(text string) (control.Filter, error) {
	q, err := url.ParseQuery(text)
	if err != nil {
		return control.Filter{}, err
	}
	return control.ParseFilter(q)
}

// lookup finds what conversions need.
func (a *Appliance) lookup() snapshot.Lookup {
	return snapshot.Lookup{Table: a.table, Hash: a.steering.CallID}
}

// status fills in the running sessions.
func (s *syncs) status(out *control.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Syncs = []control.SyncStatus{}
	for _, r := range s.running {
		out.Syncs = append(out.Syncs, control.SyncStatus{To: r.to, Started: r.started, SyncProgress: r.progress})
	}
}

func syncProgress(p *resync.Progress) control.SyncProgress {
	return control.SyncProgress{
		Pass: p.Pass, Passes: p.Passes, Visited: p.Visited, Total: p.Total, Packets: p.Packets, Bytes: p.Bytes,
		Elapsed: p.Elapsed.Seconds(), Remaining: p.Remaining().Seconds(),
	}
}

func syncSummary(req control.SyncRequest, s *resync.Summary) control.SyncSummary {
	estimate := 0.0
	if req.DryRun && req.Rate > 0 {
		estimate = float64(s.Packets) * float64(max(req.Passes, 1)) / float64(req.Rate)
	}
	return control.SyncSummary{
		Converted: s.Report.Lost.Converted, ConversionLost: s.Report.Lost.ByName(),
		Estimate: estimate, Arrived: s.Arrival.String(), Missing: s.Missing,
		To: req.To, Complete: s.Complete, DryRun: req.DryRun, Passes: s.Passes,
		Dialogs: s.Dialogs, Deletions: s.Deletions, EndsSkipped: s.Skipped, Filtered: s.Filtered, Expired: s.Expired,
		Held: heldBack(&s.Report), NoSocket: s.NoSocket, Unmatched: s.Unmatched, Sockets: unmatchedSockets(&s.Report), MoreSockets: s.MoreSockets,
		Packets: s.Packets, Bytes: s.Bytes, Changes: s.TailEvents, ChangesHeld: s.Tail.HeldBack(), Lost: s.TailLost, SendErrors: s.SendErrors,
		ChangesUnmatched: s.Tail.Unmatched, ChangesSockets: unmatchedSockets(&s.Tail), ChangesMoreSockets: s.Tail.MoreSockets,
		Seconds: s.Duration.Seconds(),
	}
}
