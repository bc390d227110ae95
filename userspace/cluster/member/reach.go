package member

import (
	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
)

// Reached is a node that is up, and how to write to it.
type Reached struct {
	Peer     donor.Peer
	Rewrites donor.Rewrites
	// Send puts a packet in the queue of the connection. It doesn't wait, and keeps a copy.
	Send func(packet []byte) error
}

// Reached returns the nodes that are up and whose layout is known: by what they have sent, what other nodes of the cluster
// send, or the sync version.
func (m *Member) Reached() (list []Reached) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.cfg.Donor.Store
	if s == nil {
		return nil
	}
	nodes := m.machine.Status().Nodes
	var others []layout.ID
	for _, n := range nodes {
		if id := s.Layout(m.cfg.Cluster, n.Node); id != layout.None {
			others = append(others, id)
		}
	}
	for _, n := range nodes {
		ways := m.waysLocked(n.Node, 0)
		if n.LinkState != membership.Up || len(ways) == 0 {
			continue
		}
		dialect := m.machine.Dialect(n.Node)
		to := s.Layout(m.cfg.Cluster, n.Node)
		if to == layout.None && dialect.SyncVersion != 0 {
			to = donor.LayoutOf(dialect.SyncVersion, dialect, to, others)
		} else if to == layout.None && len(others) > 0 {
			to = others[0]
		}
		if to == layout.None {
			continue
		}
		rewrites, own := m.cfg.Donor.Rewrites[n.Node]
		if !own {
			rewrites = m.cfg.Donor.Rewrites[0]
		}
		list = append(list, Reached{
			Peer: donor.Peer{Trailer: bin2.Trailer{Cluster: m.cfg.Cluster, Source: m.cfg.Node, Destination: n.Node}, Dialect: dialect,
				SyncVersion: dialect.SyncVersion, Layout: to},
			Rewrites: rewrites, Send: ways[0].Send,
		})
	}
	return list
}

// Announced calls each with every capability of every other node.
func (m *Member) Announced(each func(node int32, capability string)) {
	m.mu.Lock()
	nodes := m.machine.Status().Nodes
	m.mu.Unlock()
	for _, n := range nodes {
		for _, c := range n.Capabilities {
			each(n.Node, c.Name)
		}
	}
}
