package member

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"binrepd/userspace/cluster/membership"
)

// syncStep tells how a sync ended, and begins one. Only the waiting goroutine calls it.
func (m *Member) syncStep(now time.Time) {
	m.mu.Lock()
	donors := m.donorsLocked()
	ask := donors
	if len(ask) == 0 {
		ask = m.unsureLocked(now)
	}
	m.fill.gapped = m.gaps.first(donors, m.fill.tried)
	begin := m.fill.step(now, ask, m.upLocked())
	ended, run := m.fill.ended, m.fill.run
	m.fill.ended = nil
	if begin {
		m.doubts.trial, m.gaps.trial = nil, nil
		if slices.Contains(donors, run.donor) { // what a node says that isn't synced proves nothing
			m.doubts.asked(run.donor)
			m.gaps.asked(now, m.cfg.Cluster, run.donor)
		}
		if m.fill.force || slices.Contains(ask, run.donor) {
			m.donation.promise.SyncBegan()
		}
	}
	if ended != nil && ended.Complete {
		// Unless this sync is about the node that is left: endSuspects closes its gap.
		m.askAboutGapsLocked(now, slices.DeleteFunc(slices.Clone(donors), func(id int32) bool { return id == ended.Donor }))
		if !m.donation.promise.SyncDone(ended.Donor, ended.Chunks, m.heldLocked(), m.linkedLocked()) {
			m.donation.asked = "" // another one may prove more
		}
	}
	m.mu.Unlock()
	if ended != nil {
		m.syncEnded(ended)
		m.endSuspects(ended)
	}
	if !begin {
		return
	}
	m.log.Info("sync requested", "node", run.donor, "reason", run.reason)
	if m.cfg.Filler != nil {
		m.cfg.Filler.SyncRequested(m.cfg.Cluster)
	}
	var out membership.Output
	m.mu.Lock()
	if err := m.machine.RequestSync(now, run.donor, Capability, &out); err != nil && m.fill.run.donor != 0 {
		m.fill.fail(now, err.Error())
		m.rouse()
	}
	m.mu.Unlock()
	m.perform(now, &out)
}

func (m *Member) syncEnded(r *SyncResult) {
	if r.Complete {
		m.log.Info("sync "+r.Text, "reason", r.Reason)
	} else {
		m.log.Warn("sync "+r.Text, "reason", r.Reason)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, listener := range m.listeners {
		select {
		case listener <- *r:
		default: // it has enough to go on with
		}
	}
}

// donorsLocked returns the nodes that announce complete dialogs and have a connection: one whose connections have just ended
// may be dead, and the machine doesn't know it yet.
func (m *Member) donorsLocked() []int32 {
	return slices.DeleteFunc(m.machine.Synced(Capability), func(id int32) bool {
		n := m.nodes[id]
		return n == nil || len(n.conns) == 0
	})
}

// upLocked returns the nodes that are up.
func (m *Member) upLocked() (up []int32) {
	if m.fill.from == 0 && !m.fill.force {
		return nil // only a sync by hand, or of a seed, needs it
	}
	for _, n := range m.machine.Status().Nodes {
		if n.LinkState == membership.Up {
			up = append(up, n.Node)
		}
	}
	return up
}

var errNoDonor = errors.New("no node that is up announces that its dialogs are complete")

// Sync asks for a sync now, of the node from, or of any if that is 0, and waits until it has ended. If it fails, other
// nodes are asked, each once. The result is that of the last try. Status tells the progress.
func (m *Member) Sync(ctx context.Context, from int32) (SyncResult, error) {
	results := make(chan SyncResult, 16)
	now := time.Now()
	m.mu.Lock()
	m.fill.from = from
	donors, up := m.donorsLocked(), m.upLocked()
	switch {
	case from != 0 && !slices.Contains(up, from):
		m.fill.from = 0
		m.mu.Unlock()
		return SyncResult{}, fmt.Errorf("node %d of cluster %d isn't up", from, m.cfg.Cluster)
	case from == 0 && len(donors) == 0:
		m.mu.Unlock()
		return SyncResult{}, errNoDonor
	}
	m.fill.hasten(now, from)
	m.listeners = append(m.listeners, results)
	m.rouse()
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.listeners = slices.DeleteFunc(m.listeners, func(o chan SyncResult) bool { return o == results })
	}()
	for failed := 0; ; {
		select {
		case <-ctx.Done():
			return SyncResult{}, ctx.Err()
		case <-m.done:
			return SyncResult{}, net.ErrClosed
		case r := <-results:
			if r.Began.Before(now) {
				continue // it ran already
			}
			if r.Complete {
				return r, nil
			}
			if failed++; from != 0 || failed >= len(donors) {
				return r, errors.New(r.Text)
			}
		}
	}
}
