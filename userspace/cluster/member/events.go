package member

import (
	"fmt"
	"time"

	"binrepd/userspace/cluster/membership"
)

// eventsLocked acts on events. What that makes is added to out.
func (m *Member) eventsLocked(now time.Time, out *membership.Output) {
	for i := 0; i < len(out.Events); i++ {
		e := &out.Events[i]
		switch e.Kind {
		case membership.LinkUp:
			m.donation.promise.Up(now, e.Node)
			m.rouse() // the node may be a donor
		case membership.LinkLost, membership.LinkDown:
			m.donation.promise.Down(e.Node)
			m.donorGone(now, e.Node, "the link to it was lost")
		case membership.Gap:
			m.donation.promise.Missed(now, e.Node, e.Cause.String())
			m.gapLocked(now, e.Node, fmt.Sprintf("node %d: %s", e.Node, e.Cause))
		case membership.NewLife:
			m.donation.promise.Restarted(now, e.Node)
			m.forgetLocked(e.Node, "the node was restarted")
			m.donorGone(now, e.Node, "it was restarted")
			m.gapLocked(now, e.Node, fmt.Sprintf("node %d was restarted", e.Node))
			m.doubtLocked(now, e.Node)
		case membership.NodeLearned:
			if u, ok := urlOf(e.Text); ok {
				m.dialLocked(e.Node, u)
			}
		case membership.NodeRemoved:
			m.donation.promise.Removed(e.Node)
			m.forgetLocked(e.Node, "the node was removed")
			m.donorGone(now, e.Node, "it was removed from the cluster")
			m.hangUpLocked(e.Node)
			m.profiles.forget(e.Node)
			delete(m.doubts.open, e.Node)
			m.gaps.unsynced(e.Node)
		case membership.WeAreRemoved:
			m.donorGone(now, m.fill.run.donor, "this node was removed from the cluster")
		case membership.CapabilityChanged:
			if e.Text == Capability && e.On {
				m.donation.promise.Synced(e.Node)
				m.rouse()
				m.syncedLocked(now, e.Node)
			} else if e.Text == Capability {
				m.donation.promise.Unsynced(e.Node)
				m.doubtLocked(now, e.Node)
				m.donorGone(now, e.Node, "it announces that its dialogs are no longer complete")
			}
		case membership.TagChanged:
			if m.cfg.Claimed != nil {
				m.cfg.Claimed(now, m.cfg.Cluster, e.Node, e.Text, e.Other)
			}
		case membership.SyncRequested:
			m.answerLocked(now, e, out)
		}
	}
	if len(out.Events) > 0 {
		m.rouse() // the waiting goroutine decides what to announce
	}
}

// donorGone ends the sync that runs if that node is the donor.
func (m *Member) donorGone(now time.Time, id int32, why string) {
	if m.fill.run.donor != 0 && m.fill.run.donor == id {
		m.fill.fail(now, why)
		m.rouse()
	}
}

// hangUpLocked ends all connections with a node that was removed.
func (m *Member) hangUpLocked(id int32) {
	n := m.nodes[id]
	if n == nil {
		return
	}
	if n.dialed != nil {
		n.dialed.Close()
	}
	for _, c := range n.conns {
		c.Close()
	}
	delete(m.nodes, id)
}

// answerLocked takes a sync request. Of dialogs an answer without data would make the node end its own (spec bin-tcp,
// 3.5 and 3.6); other modules do nothing at the end of a sync, but wait for it.
func (m *Member) answerLocked(now time.Time, e *membership.Event, out *membership.Output) {
	if e.Text == Capability {
		m.requestLocked(now, e)
		return
	}
	if m.machine.EmptySync(now, e.Node, e.Text, e.Version, out) == nil {
		m.counts.answered++
	}
}

// logEvent writes an event to the log.
func (m *Member) logEvent(e *membership.Event) {
	log := m.log.With("node", e.Node)
	switch e.Kind {
	case membership.LinkUp:
		log.Info("link up")
	case membership.LinkLost:
		log.Warn("link lost")
	case membership.LinkDown:
		log.Warn("node down: it doesn't answer")
	case membership.Gap:
		log.Info("packets may be missing", "reason", e.Cause.String())
	case membership.NewLife:
		log.Info("node was restarted")
	case membership.NodeLearned:
		log.Info("node learned", "url", e.Text)
	case membership.NodeRemoved:
		log.Warn("node was removed from the cluster", "by", e.Other)
	case membership.WeAreRemoved:
		log.Error("this node was removed from the cluster: restart binrepd to join again, or take it out of the settings")
	case membership.DialectLearned:
		log.Info("releases that the node can have", "releases", e.Text)
	case membership.CapabilityChanged:
		log.Debug("capability", "name", e.Text, "synced", e.On)
	case membership.TagChanged:
		log.Info("sharing tag moved", "tag", e.Text, "from", e.Other)
	case membership.TagConflict:
		log.Warn("two nodes claim a sharing tag", "tag", e.Text, "other", e.Other)
	case membership.SyncRequested:
		if e.Text == Capability {
			log.Info("a node asks for all dialogs", "sync_version", e.Version)
		} else {
			log.Info("answered a sync request with no data", "capability", e.Text)
		}
	case membership.Nudged:
		log.Info("a node answers pings and sends nothing: sent it a PONG unasked")
	}
}
