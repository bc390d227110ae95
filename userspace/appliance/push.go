package appliance

import (
	"context"
	"fmt"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/member"
	"binrepd/userspace/watch/control"
)

// push sends dialogs to a node of a cluster that didn't ask for them.
func (a *Appliance) push(ctx context.Context, req control.SyncRequest, progress func(control.SyncProgress)) (control.SyncSummary, error) {
	m, p, err := a.pushConfig(req)
	if err != nil {
		return control.SyncSummary{DryRun: req.DryRun}, &control.RequestError{Err: err}
	}
	name := fmt.Sprintf("node %d of cluster %d", req.Node, m.Cluster())
	r := &runningSync{to: name, started: time.Now()}
	defer a.syncs.begin(r)()
	done, err := m.Push(ctx, p, func(s donor.Summary) {
		now := a.pushProgress(&s, r.started)
		a.syncs.mu.Lock()
		r.progress = now
		a.syncs.mu.Unlock()
		progress(now)
	})
	s := pushSummary(req, name, &done, r.started)
	s.Complete = err == nil
	if !req.DryRun {
		a.syncs.count(s.Complete, time.Since(r.started))
	}
	return s, err
}

// pushConfig checks a request and finds the member.
func (a *Appliance) pushConfig(req control.SyncRequest) (*member.Member, member.Push, error) {
	p := member.Push{Node: req.Node, Rate: req.Rate, DryRun: req.DryRun}
	m, err := a.memberOf(req.Cluster)
	if err != nil {
		return nil, p, err
	}
	if req.Release != "" {
		if p.Layout = donor.LayoutOfRelease(req.Release); p.Layout == layout.None {
			return nil, p, fmt.Errorf("--release %s: not one of 2.4, 3.0 to 3.6, 4.0 and next", req.Release)
		}
	}
	for _, text := range req.Rewrites {
		from, to, err := donor.ParseRewrite(text)
		if err != nil {
			return nil, p, err
		}
		if p.Rewrites == nil {
			p.Rewrites = donor.Rewrites{}
		}
		p.Rewrites[from] = to
	}
	if req.Filter != "" {
		f, err := parseFilter(req.Filter)
		if err != nil {
			return nil, p, err
		}
		p.Filter = func(origin uint16, id layout.ID, body []byte) bool {
			var v layout.View
			return layout.Parse(id, body, &v) == layout.NoFault &&
				f.Chooses(dialog.State(v.Number(layout.State)), id, body, a.engine.Sender(origin))
		}
	}
	return m, p, nil
}

func (a *Appliance) pushProgress(s *donor.Summary, began time.Time) control.SyncProgress {
	counts := a.table.Counts()
	p := control.SyncProgress{
		Pass: 1, Passes: 1, Visited: uint64(s.Visited), Total: uint64(counts.Live()), Packets: uint64(s.Dialogs + s.Repairs),
		Bytes: uint64(s.Bytes), Elapsed: time.Since(began).Seconds(),
	}
	if p.Visited > 0 && p.Total > p.Visited {
		p.Remaining = p.Elapsed / float64(p.Visited) * float64(p.Total-p.Visited)
	}
	return p
}

func pushSummary(req control.SyncRequest, name string, s *donor.Summary, began time.Time) control.SyncSummary {
	out := control.SyncSummary{
		To: name, DryRun: req.DryRun, Passes: 1, Dialogs: uint64(s.Dialogs), Filtered: uint64(s.Filtered), Held: map[string]uint64{},
		Packets: uint64(s.Dialogs + s.Repairs), Bytes: uint64(s.Bytes), Changes: uint64(s.Repairs), Lost: s.Lost,
		Sockets: map[string]uint64{}, ChangesSockets: map[string]uint64{}, Refused: s.Sockets,
		Converted: s.Converted, ConversionLost: s.Dropped, Seconds: time.Since(began).Seconds(), Arrived: control.NotConfirmed,
	}
	for reason, n := range s.Held {
		switch reason {
		case donor.Expired.String():
			out.Expired += uint64(n)
		case donor.BeingSetUp.String(), donor.HasEnded.String():
		default:
			out.Held[reason] = uint64(n)
		}
	}
	if req.DryRun {
		out.Packets, out.Bytes = uint64(s.Dialogs), uint64(s.Bytes)
		if req.Rate > 0 {
			out.Estimate = float64(s.Dialogs) / float64(req.Rate)
		}
	}
	return out
}
