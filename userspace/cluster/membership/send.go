package membership

import (
	"time"

	"binrepd/userspace/wire/bin2"
)

// message is what can be written for a peer.
type message interface {
	Append([]byte, bin2.Dialect) ([]byte, error)
}

func (m *Machine) me() bin2.From { return bin2.From{Cluster: m.config.Cluster, Source: m.config.Node} }

func (m *Machine) to(n *node) bin2.Trailer {
	return bin2.Trailer{Cluster: m.config.Cluster, Source: m.config.Node, Destination: n.Node}
}

// send adds a message to a node to out.
func (m *Machine) send(now, at time.Time, n *node, connection uint64, kind bin2.Kind, msg message, out *Output) error {
	start := len(out.buf)
	buf, err := msg.Append(out.buf, n.dialect)
	if err != nil {
		return err
	}
	out.buf = buf
	out.Sends = append(out.Sends, Send{Node: n.Node, Connection: connection, At: at, Kind: kind, Packet: buf[start:len(buf):len(buf)]})
	return nil
}

// sendPing and sendPong don't go through send: as an interface the message would be allocated.
func (m *Machine) sendPing(now time.Time, n *node, want bool, out *Output) {
	msg := bin2.Ping{From: m.me(), WantNodes: want}
	start := len(out.buf)
	out.buf, _ = msg.Append(out.buf, n.dialect) // a PING is never too long
	out.Sends = append(out.Sends, Send{Node: n.Node, At: now, Kind: bin2.KindPing, Packet: out.buf[start:len(out.buf):len(out.buf)]})
	n.lastPing, n.awaiting = now, true
	n.setDue(m, now.Add(m.config.PingTimeout))
}

// sendPong sends an answer without a list of nodes, also to a PING that wants one: a node that got no list sends the
// description of every node with its topology.
func (m *Machine) sendPong(now, at time.Time, n *node, connection uint64, out *Output) {
	msg := bin2.Pong{From: m.me()}
	start := len(out.buf)
	out.buf, _ = msg.Append(out.buf, n.dialect)
	out.Sends = append(out.Sends, Send{Node: n.Node, Connection: connection, At: at, Kind: bin2.KindPong,
		Packet: out.buf[start:len(out.buf):len(out.buf)]})
	n.pongAt = at
}

// sendUnknownID answers a PING of a node that isn't known, on its connection.
func (m *Machine) sendUnknownID(now time.Time, connection uint64, out *Output) {
	msg := bin2.UnknownID{From: m.me()}
	start := len(out.buf)
	out.buf, _ = msg.Append(out.buf, bin2.Dialect{})
	out.Sends = append(out.Sends, Send{Connection: connection, At: now, Kind: bin2.KindUnknownID,
		Packet: out.buf[start:len(out.buf):len(out.buf)]})
}

func (m *Machine) myPath() bin2.IDs { return bin2.IDs{}.Append(m.config.Node) }

func (m *Machine) sendDescription(now time.Time, n *node, connection uint64, out *Output) {
	msg := bin2.Description{From: m.me(), URL: []byte(m.config.URL), SIPAddr: []byte(m.config.SIPAddr),
		Priority: m.config.Priority, Retries: m.config.Retries, Path: m.myPath()}
	_ = m.send(now, now, n, connection, bin2.KindDescription, &msg, out) // its texts are bounded
}

// sendCaps sends all capabilities of ours. Without any it sends an empty list if it wants a reply: that is how to
// learn those of a node that takes us for up already.
func (m *Machine) sendCaps(now time.Time, n *node, want bool, connection uint64, out *Output) {
	m.sent[capsNumber]++
	m.sendCapsOf(now, n, m.own, want, connection, out)
	n.capsSent = n.dialect
}

func (m *Machine) sendCapsOf(now time.Time, n *node, list []capability, want bool, connection uint64, out *Output) {
	var caps bin2.Caps
	for _, c := range list {
		caps = caps.Append(c.name, c.synced)
	}
	msg := bin2.CapUpdate{From: m.me(), HasSeq: n.dialect.CapForm != bin2.WithoutSeq, Seq: m.sent[capsNumber],
		Timestamp: int32(now.Unix()), Nodes: bin2.NodeCapsList{}.Append(m.config.Node, caps), WantReply: want, Path: m.myPath()}
	_ = m.send(now, now, n, connection, bin2.KindCaps, &msg, out) // 32 names of 255 bytes fit
}

// introduce sends our capabilities to a node that came up, as soon as it is known how the node reads them. Most nodes
// show that at once. One that took the link for up all the time, because we were away only for a moment, shows nothing
// until it is asked.
func (m *Machine) introduce(now time.Time, n *node, out *Output) {
	n.guesses = 0
	if n.dialect.Numbering != 0 {
		m.sendCaps(now, n, true, 0, out)
		return
	}
	n.guess = now.Add(m.config.PingTimeout / 2)
	m.changed = true
}

// guessed returns the form in which a node of an unknown release is asked for its capabilities at a try. A node ignores a
// number that it doesn't know. The first is read by 3.2.4 and later, the second by the others that are older than 3.2.
func guessed(try int) bin2.Dialect {
	if try%2 == 0 {
		return bin2.Dialect{Numbering: bin2.New, CapForm: bin2.WithSeq}
	}
	return bin2.Dialect{Numbering: bin2.Old, CapForm: bin2.WithoutSeq}
}

// mostGuesses is how many such messages a node gets: each that it doesn't know is a warning in its log.
const mostGuesses = 4

// askInForm sends our capabilities in the next form that the node may read.
func (m *Machine) askInForm(now time.Time, n *node, out *Output) {
	known := n.dialect
	n.dialect = guessed(n.guesses)
	m.sendCaps(now, n, true, 0, out)
	n.dialect = known
	n.guess = time.Time{}
	if n.guesses++; n.guesses < mostGuesses {
		n.guess = now.Add(m.config.PingTimeout)
	}
}

// repeatCaps sends our capabilities if they were not sent yet, or in a form that the node doesn't read.
func (m *Machine) repeatCaps(now time.Time, n *node, out *Output) {
	if n.link != linkUp || n.dialect.Numbering == 0 {
		return
	}
	waits := !n.guess.IsZero() && n.guesses == 0
	n.guess, m.changed = time.Time{}, true
	if waits || readsAs(n.capsSent) != readsAs(n.dialect) {
		m.sendCaps(now, n, true, 0, out)
	}
}

// readsAs returns what of a dialect matters for a CAP_UPDATE.
func readsAs(d bin2.Dialect) (form [2]bool) {
	return [2]bool{d.Numbering == bin2.Old, d.CapForm == bin2.WithoutSeq}
}

// announceLink tells all other nodes that are up about the link to n.
func (m *Machine) announceLink(now time.Time, n *node, down bool, out *Output) {
	if !m.config.AnnounceLinks {
		return
	}
	m.sent[linkNumber]++
	msg := bin2.LinkUpdate{From: m.me(), Seq: m.sent[linkNumber], Timestamp: int32(now.Unix()), Neighbour: n.Node, Down: down,
		Path: m.myPath()}
	for _, other := range m.order {
		if other != n && other.link == linkUp && !other.disabled {
			_ = m.send(now, now, other, 0, bin2.KindLink, &msg, out) // of fixed size
		}
	}
}

// sendTopology sends our links to a node that came up.
func (m *Machine) sendTopology(now time.Time, n *node, out *Output) {
	if !m.config.AnnounceLinks {
		return
	}
	m.sent[topologyNumber]++
	var up bin2.IDs
	for _, other := range m.order {
		if other.link == linkUp {
			up = up.Append(other.Node)
		}
	}
	entry := bin2.NodeEntry{ID: m.config.Node, LinkSeq: m.sent[linkNumber], Neighbours: up}
	msg := bin2.Topology{From: m.me(), Seq: m.sent[topologyNumber], Timestamp: int32(now.Unix()),
		Nodes: bin2.NodeEntries{}.Append(&entry), Path: m.myPath()}
	_ = m.send(now, now, n, 0, bin2.KindTopology, &msg, out) // 127 ids fit
}

// passOn sends a message on to the nodes that haven't had it, if we are part of the mesh of links.
func (m *Machine) passOn(now time.Time, p bin2.Packet, path bin2.IDs, out *Output) {
	if !m.config.AnnounceLinks || path.Len() >= bin2.MaxPath || path.Has(m.config.Node) {
		return
	}
	start := len(out.buf)
	buf, ok := bin2.AppendPassedOn(out.buf, p, m.config.Node)
	if !ok {
		return
	}
	out.buf = buf
	kind, _, _ := bin2.KindOf(p, 0)
	for _, n := range m.order {
		if n.link == linkUp && !n.disabled && !path.Has(n.Node) {
			out.Sends = append(out.Sends, Send{Node: n.Node, At: now, Kind: kind, Packet: buf[start:len(buf):len(buf)]})
		}
	}
}
