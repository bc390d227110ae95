package member

import (
	"context"
	"fmt"
	"time"

	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/stream"
	"binrepd/userspace/wire/bin2"
)

// Push sends dialogs to a node that didn't ask.
type Push struct {
	Node int32
	// Layout in which the node takes dialogs; None: as far as it is known.
	Layout layout.ID
	// Rewrites replace sockets; nil: those for answers to the node.
	Rewrites donor.Rewrites
	// Rate is in packets a second; 0 is no limit.
	Rate int
	// Filter chooses dialogs; nil: all of the cluster.
	Filter func(origin uint16, id layout.ID, body []byte) bool
	DryRun bool
}

// Push sends dialogs to a node, and repeats ends and changes that come meanwhile, until all is done or ctx ends. It calls
// progress now and then.
func (m *Member) Push(ctx context.Context, p Push, progress func(donor.Summary)) (donor.Summary, error) {
	run, conn, err := m.pushTo(p)
	if err != nil {
		return donor.Summary{}, err
	}
	defer run.Close()
	out := conn.Send
	if p.DryRun {
		out = func([]byte) error { return nil }
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var told time.Time
	for !run.Done() {
		select {
		case <-ctx.Done():
			return run.Summary(), ctx.Err()
		case <-m.done:
			return run.Summary(), fmt.Errorf("node %d: this appliance stops", p.Node)
		case <-timer.C:
		}
		now := time.Now()
		_, waiting := conn.Waiting()
		next, err := run.Step(now, sendAhead-int(waiting), out)
		if err != nil {
			return run.Summary(), fmt.Errorf("node %d: %w", p.Node, err)
		}
		if now.Sub(told) >= tellEvery {
			told = now
			progress(run.Summary())
		}
		timer.Reset(time.Until(next))
	}
	return run.Summary(), nil
}

// pushTo prepares a push, and returns the connection for it.
func (m *Member) pushTo(p Push) (*donor.Run, *stream.Conn, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.cfg.Donor.Store
	if s == nil {
		return nil, nil, fmt.Errorf("node %d: this member has no table", p.Node)
	}
	ways := m.waysLocked(p.Node, 0)
	if !m.isUpLocked(p.Node) || len(ways) == 0 {
		return nil, nil, fmt.Errorf("node %d isn't up: see `binrepd cluster list`", p.Node)
	}
	if m.donation.running[p.Node] != nil {
		return nil, nil, fmt.Errorf("node %d has asked for all dialogs itself, and is being answered", p.Node)
	}
	to := p.Layout
	if to == layout.None {
		to = m.layoutLocked(p.Node)
	}
	if to == layout.None {
		return nil, nil, fmt.Errorf("node %d: it isn't known in which layout it takes dialogs, because it has neither sent one nor asked for any; "+
			"name its release by --release, such as --release 3.6", p.Node)
	}
	rewrites := p.Rewrites
	if rewrites == nil {
		rewrites = m.rewritesFor(p.Node)
	}
	return donor.NewRun(now, donor.Config{
		Peer: m.peerLocked(p.Node, to), Table: s.Table(), Tail: s.OpenTail(), Rate: p.Rate, Rewrites: rewrites, Filter: p.Filter,
		Serves: func(origin uint16, id layout.ID) bool { return s.Serves(m.cfg.Cluster, origin, id) },
		Push:   true, DryRun: p.DryRun,
	}), ways[0], nil
}

// isUpLocked tells whether a node is up.
func (m *Member) isUpLocked(id int32) bool {
	for _, n := range m.machine.Status().Nodes {
		if n.Node == id {
			return n.LinkState == membership.Up
		}
	}
	return false
}

// layoutLocked returns in which layout a node takes live packets, None if that isn't known yet.
func (m *Member) layoutLocked(id int32) layout.ID {
	s := m.cfg.Donor.Store
	var others []layout.ID
	for _, n := range m.machine.Status().Nodes {
		others = append(others, s.Layout(m.cfg.Cluster, n.Node))
	}
	return donor.LayoutFor(m.machine.Dialect(id), s.Layout(m.cfg.Cluster, id), others)
}

func (m *Member) peerLocked(id int32, to layout.ID) donor.Peer {
	dialect := m.machine.Dialect(id)
	return donor.Peer{
		Trailer: bin2.Trailer{Cluster: m.cfg.Cluster, Source: m.cfg.Node, Destination: id}, Dialect: dialect,
		SyncVersion: dialect.SyncVersion, Layout: to,
	}
}

// rewritesFor returns the sockets to replace for a node.
func (m *Member) rewritesFor(id int32) donor.Rewrites {
	if own, found := m.cfg.Donor.Rewrites[id]; found {
		return own
	}
	return m.cfg.Donor.Rewrites[0]
}
