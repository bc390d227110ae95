package membership

import (
	"fmt"
	"time"

	"binrepd/userspace/wire/bin2"
)

// syncRequest hands a request outward.
func (m *Machine) syncRequest(n *node, p bin2.Packet, out *Output, o *Outcome) {
	var msg bin2.SyncRequest
	if err := msg.Decode(p); err != nil {
		o.malformed(err)
		return
	}
	if len(msg.Capability) == 0 || len(msg.Capability) > MaxText {
		o.refuse(TextTooLong)
		return
	}
	out.event(Event{Kind: SyncRequested, Node: n.Node, Text: textOf(msg.Capability), Version: msg.Version})
}

// RequestSync asks a node for all data of a capability. The answer comes as packets that Receive says to deliver. The
// error tells that the node isn't known or not up.
func (m *Machine) RequestSync(now time.Time, id int32, name string, out *Output) error {
	n := m.find(id)
	switch {
	case n == nil:
		return fmt.Errorf("sync: node %d isn't known in cluster %d", id, m.config.Cluster)
	case n.link != linkUp || n.disabled || m.removed:
		return fmt.Errorf("sync: node %d of cluster %d isn't up", id, m.config.Cluster)
	}
	msg := bin2.SyncRequest{Trailer: m.to(n), Capability: []byte(name)}
	return m.send(now, now, n, 0, bin2.KindSyncRequest, &msg, out)
}

// EmptySync answers a sync request with no data. Every request must be answered, or the node waits for ever.
func (m *Machine) EmptySync(now time.Time, id int32, name string, version int16, out *Output) error {
	n := m.find(id)
	if n == nil {
		return fmt.Errorf("sync: node %d isn't known in cluster %d", id, m.config.Cluster)
	}
	msg := bin2.SyncEnd{Trailer: m.to(n), Version: version, Capability: []byte(name)}
	return m.send(now, now, n, 0, bin2.KindSyncEnd, &msg, out)
}

// Dialect returns how a node's messages look, as far as it is known.
func (m *Machine) Dialect(id int32) bin2.Dialect {
	if n := m.find(id); n != nil {
		return n.dialect
	}
	return bin2.Dialect{}
}
