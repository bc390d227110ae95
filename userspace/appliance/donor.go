package appliance

import (
	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/wire/bin2"
)

// store is what members answer from.
type store struct{ a *Appliance }

func (s store) Table() *dialog.Table { return s.a.table }

func (s store) OpenTail() donor.Tail { return s.a.output.egress.Tail() }

// takesUDP tells whether calls of UDP sources belong to the cluster, too.
func (s store) takesUDP(cluster int32) bool {
	for i := range s.a.config.Clusters {
		if s.a.config.Clusters[i].Cluster == cluster {
			return s.a.config.Clusters[i].Donor.TakesUDP
		}
	}
	return false
}

func (s store) Own(c *changes.Change) bool { return c.Origin == s.a.engine.Number() }

// Serves: dialogs of generation 2 whose last event came from that cluster, and those of generation 1 if it takes them.
// Dialogs of a saved file may have lost their cluster; they belong to the only one.
func (s store) Serves(cluster int32, origin uint16, id layout.ID) bool {
	switch from := s.a.engine.Sender(origin); {
	case id <= layout.UDP:
		return from.Cluster == 0 && s.takesUDP(cluster)
	case from.Cluster == 0:
		return len(s.a.config.Clusters) == 1
	default:
		return int32(from.Cluster) == cluster || s.a.bridges.serves(from, cluster)
	}
}

func (s store) Layout(cluster, node int32) layout.ID {
	for _, n := range s.a.engine.Nodes() {
		if n.Cluster == cluster && n.Node == node {
			return n.Layout
		}
	}
	return layout.None
}

// Lost counts the events that the engine refused: the table is full, or they can't be read.
func (s store) Lost(cluster int32) (n uint64) {
	for i := range s.a.config.Clusters {
		if s.a.config.Clusters[i].Cluster != cluster {
			continue
		}
		account := s.a.engine.Account(len(s.a.config.Listen) + i)
		n += account.Outcome(dialog.RefusedMemory) + account.Outcome(dialog.RefusedCall) + account.Outcome(dialog.RefusedChange) +
			account.Chunks[dialog.RefusedMemory] + account.Chunks[dialog.RefusedCall] + account.RefusedChunks
		for v, times := range account.Verdicts2 {
			if v := bin2.Verdict(v); v != bin2.Event && v != bin2.OtherPacket && v != bin2.Chunks {
				n += times
			}
		}
	}
	return n
}
