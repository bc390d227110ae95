package member

import (
	"fmt"
	"slices"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/stream"
)

// Status is what a Member knows. Keys of its parts are those of OpenSIPS, see membership.Status.
type Status struct {
	membership.Status
	Nodes []NodeStatus `json:"Nodes"`
	Sync  SyncStatus   `json:"sync"`
	Donor DonorStatus  `json:"donor"`
	// UDP is the account of live calls of UDP sources; nil: they aren't passed on.
	UDP *FeedStatus `json:"from_udp,omitempty"`
	// Refused counts packets that are refused here, by reason: those of the machine, and others.
	Refused map[string]uint64 `json:"refused"`
	// Ended counts connections that ended or were refused, by reason.
	Ended map[string]uint64 `json:"connections_ended"`
	// NotSent counts packets for nodes to which there was no connection.
	NotSent uint64 `json:"not_sent"`
	Gaps    uint64 `json:"gaps"` // after which a sync was wanted
	// Answered counts sync requests of other nodes that were answered with no data.
	Answered uint64 `json:"sync_requests_answered"`
	// Doubts are about nodes that may have dropped calls silently, SuspectsRemoved is how many such calls were ended.
	Doubts          []Doubt `json:"doubts"`
	SuspectsRemoved uint64  `json:"suspects_removed"`
	// Stream is the account of the connections.
	Stream stream.Status `json:"-"`
}

// NodeStatus is another node.
type NodeStatus struct {
	membership.NodeStatus
	Connections int    `json:"connections"`      // open ones, in both directions
	TLS         bool   `json:"tls"`              // of the one that is used
	Dialing     string `json:"dialing,omitzero"` // why the last attempt to connect failed
}

// States of a SyncStatus.
const (
	SyncIdle    = "idle"
	SyncWanted  = "wanted"
	SyncRunning = "running"
)

// SyncStatus is the state of the fill by syncs.
type SyncStatus struct {
	State string `json:"state"`
	Text  string `json:"text"` // in words
	// Incomplete is why dialogs may be missing although a sync was tried, or nobody offers one; empty: none are known to
	// be.
	Incomplete string     `json:"incomplete,omitempty"`
	Donor      int32      `json:"donor,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Since      time.Time  `json:"since,omitzero"`
	Chunks     int        `json:"chunks"`
	Packets    int        `json:"packets"`
	Bytes      int        `json:"bytes"`
	Complete   time.Time  `json:"last_complete,omitzero"`
	Last       SyncResult `json:"last,omitzero"`
	Done       uint64     `json:"completed"`
	Failed     uint64     `json:"failed"`
}

func (f *fill) status(now time.Time, up bool) SyncStatus {
	s := SyncStatus{State: SyncIdle, Text: "none was needed", Incomplete: f.incomplete(now, up), Complete: f.complete, Last: f.last,
		Done: f.done, Failed: f.failed}
	switch r := &f.run; {
	case r.donor != 0:
		s.State, s.Donor, s.Reason, s.Since = SyncRunning, r.donor, r.reason, r.began
		s.Chunks, s.Packets, s.Bytes = r.chunks, r.packets, r.bytes
		s.Text = fmt.Sprintf("asked node %d, %d dialogs have come (%s)", r.donor, r.chunks, r.reason)
	case f.reason != "":
		s.State, s.Reason, s.Since = SyncWanted, f.reason, f.since
		s.Text = fmt.Sprintf("wanted (%s)", f.reason)
		if !f.nobody.IsZero() {
			s.Text += "; no node offers one"
		} else if left := f.due.Sub(now).Round(time.Second); left > 0 {
			s.Text += fmt.Sprintf("; asks in %s", left)
		}
		if !f.last.Ended.IsZero() {
			s.Text += "; the last one " + f.last.Text
		}
	case !f.last.Ended.IsZero():
		s.Text = f.last.Text
	}
	return s
}

// SyncStatus returns the state of the fill by syncs, which is part of Status, too.
func (m *Member) SyncStatus() SyncStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fill.status(time.Now(), true)
}

// Status returns a copy of all that is known.
func (m *Member) Status() Status {
	connections := m.stream.Status()
	m.mu.Lock()
	defer m.mu.Unlock()
	machine := m.machine.Status()
	up := slices.ContainsFunc(machine.Nodes, func(n membership.NodeStatus) bool { return n.LinkState == membership.Up })
	s := Status{Status: machine, Sync: m.fill.status(time.Now(), up), Donor: m.donation.status(), NotSent: m.counts.notSent, Gaps: m.counts.gaps,
		Answered: m.counts.answered, Stream: connections, Refused: map[string]uint64{}, Ended: map[string]uint64{}, Doubts: m.doubts.list(), SuspectsRemoved: m.doubts.removed}
	if m.cfg.Donor.TakesUDP {
		fed := m.feed.status
		s.UDP = &fed
	}
	for _, n := range s.Status.Nodes {
		ns := NodeStatus{NodeStatus: n}
		if known := m.nodes[n.Node]; known != nil {
			ns.Connections = len(known.conns)
			for _, c := range known.conns {
				ns.TLS = ns.TLS || c.TLS()
			}
			if known.dialed != nil {
				if d := known.dialed.Status(); !d.Connected && d.Reason != stream.None {
					ns.Dialing = d.Reason.String()
					if d.Err != nil {
						ns.Dialing += ": " + d.Err.Error()
					}
				}
			}
		}
		s.Nodes = append(s.Nodes, ns)
	}
	for reason, n := range connections.Reasons {
		if n.Conns > 0 {
			s.Ended[reason.String()] = n.Conns
		}
	}
	for reason, n := range s.Counts.Refused {
		s.Refused[reason] = n
	}
	for reason, n := range map[string]uint64{
		"no packet of generation 2": m.counts.malformed, "sync that wasn't requested": m.counts.unasked,
		"certificate of another node": m.counts.unpinned, "for another node": m.counts.forOthers,
		"sync request not answered": m.counts.refused,
	} {
		if n > 0 {
			s.Refused[reason] = n
		}
	}
	return s
}
