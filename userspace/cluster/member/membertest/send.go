package membertest

import (
	"binrepd/userspace/wire/bin2"
	"errors"
)

// Send sends a packet to a node, as it is.
func (n *Node) Send(to int32, packet []byte) error {
	n.mu.Lock()
	c := n.byNode[to]
	n.mu.Unlock()
	if c == nil {
		return errors.New("no connection")
	}
	return c.send(packet)
}

// AskSync asks a node for all data of a capability.
func (n *Node) AskSync(to int32, capability string, version int16) error {
	m := bin2.SyncRequest{Trailer: bin2.Trailer{Cluster: n.cfg.Cluster, Source: n.cfg.ID, Destination: to}, Version: version, Capability: []byte(capability)}
	b, err := m.Append(nil, n.dialect())
	if err != nil {
		return err
	}
	return n.Send(to, b)
}

// SendDialog sends a packet of the dialog module with that type and body.
func (n *Node) SendDialog(to int32, kind int32, version int16, body []byte) error {
	w := bin2.Begin(nil, version, Dialogs, kind)
	w.Raw(body)
	b, err := w.EndTrailer(bin2.Trailer{Cluster: n.cfg.Cluster, Source: n.cfg.ID, Destination: to})
	if err != nil {
		return err
	}
	return n.Send(to, b)
}

// Claim says that the node is active for a sharing tag.
func (n *Node) Claim(to int32, tag string) error {
	m := bin2.TagActive{Trailer: bin2.Trailer{Cluster: n.cfg.Cluster, Source: n.cfg.ID, Destination: to}, Tag: []byte(tag)}
	b, err := m.Append(nil, n.dialect())
	if err != nil {
		return err
	}
	return n.Send(to, b)
}
