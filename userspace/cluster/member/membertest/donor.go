package membertest

import (
	"binrepd/dialog/layout"
	"binrepd/userspace/wire/bin2"
)

// SetChunks changes the dialogs that the node has for others.
func (n *Node) SetChunks(chunks [][]byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cfg.Donor.Chunks = chunks
}

// SetDonor changes how the node answers requests.
func (n *Node) SetDonor(d Donor) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cfg.Donor = d
}

// answer sends the dialogs of a node to one that asked.
func (n *Node) answer(to int32, version int16) {
	n.mu.Lock()
	d := n.cfg.Donor
	n.mu.Unlock()
	if d.Before != nil {
		d.Before(n, to)
	}
	if d.Silent {
		return
	}
	trailer := bin2.Trailer{Cluster: n.cfg.Cluster, Source: n.cfg.ID, Destination: to}
	perPacket, dataVersion := d.PerPacket, d.Version
	if perPacket == 0 {
		perPacket = 20
	}
	if dataVersion == 0 {
		dataVersion = 4
	}
	sent := 0
	var chunks []byte
	flush := func() bool {
		if len(chunks) == 0 {
			return true
		}
		m := bin2.Sync{Trailer: trailer, Version: version, Capability: []byte(Dialogs), DataVersion: dataVersion, Chunks: chunks}
		b, err := m.Append(nil, n.dialect())
		chunks = nil
		return err == nil && n.Send(to, b) == nil
	}
	for i, chunk := range d.Chunks {
		chunks = layout.AppendChunk(chunks, version, chunk)
		sent++
		if (i+1)%perPacket == 0 && !flush() {
			return
		}
		if d.Stop > 0 && sent == d.Stop {
			flush()
			return
		}
	}
	if !flush() {
		return
	}
	end := bin2.SyncEnd{Trailer: trailer, Version: version, Capability: []byte(Dialogs), Total: int32(sent) + d.Excess}
	if b, err := end.Append(nil, n.dialect()); err == nil {
		_ = n.Send(to, b) // the requester is gone otherwise
	}
}
