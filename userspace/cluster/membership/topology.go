package membership

import (
	"time"

	"binrepd/userspace/wire/bin2"
)

// unknownPerSecond is how many packets of unknown nodes are answered in a second. An attacker can't make more of
// them.
const unknownPerSecond = 10

// receiveUnknown takes a packet of a node that isn't known. Only two are of use: a PING, to which the answer is
// that we don't know the node, and the description of the node, which makes it known.
func (m *Machine) receiveUnknown(now time.Time, from Origin, p bin2.Packet, out *Output, o *Outcome) {
	switch {
	case o.Source < 1:
		o.refuse(BadID)
	case !m.config.Learn:
		o.refuse(UnknownSource)
	case o.Kind == bin2.KindPing:
		var msg bin2.Ping
		if err := msg.Decode(p); err != nil && err != bin2.Leftover {
			o.malformed(err)
			return
		}
		m.kinds[o.Kind]++
		if !m.unknown.take(now, unknownPerSecond) {
			o.ignore(TooOften)
			return
		}
		o.Verdict = Handled
		m.sendUnknownID(now, from.Connection, out)
	case o.Kind == bin2.KindDescription:
		m.kinds[o.Kind]++
		o.Verdict = Handled
		m.description(now, from, nil, p, out, o)
	default:
		o.refuse(UnknownSource)
	}
}

// description takes the description of node n, or of one that isn't known if n is nil.
func (m *Machine) description(now time.Time, from Origin, n *node, p bin2.Packet, out *Output, o *Outcome) {
	var msg bin2.Description
	if err := msg.Decode(p); err != nil {
		o.malformed(err)
		return
	}
	if n != nil {
		o.ignore(KnownNode)
		return
	}
	addr, isAddr := addressOf(string(msg.URL))
	if from.Addr.IsValid() && !m.config.AnyAddress && !(isAddr && addr == from.Addr) {
		via := m.owner(from.Addr)
		if via == nil {
			o.refuse(WrongAddress)
			return
		}
		o.Via = via.Node
	}
	if o.Via == 0 {
		o.Via = o.Source
	}
	if !m.learn(now, Peer{Node: o.Source, URL: string(msg.URL), SIPAddr: string(msg.SIPAddr),
		Priority: msg.Priority, Retries: msg.Retries}, out, o) {
		return
	}
	if o.Via == o.Source {
		n := m.find(o.Source)
		n.lastHeard, n.lastOther = now, now
	}
	m.passOn(now, p, msg.Path, out)
}

// maxRetries bounds what a node may say about itself.
const maxRetries = 100

func (m *Machine) learn(now time.Time, p Peer, out *Output, o *Outcome) bool {
	p.Retries = min(p.Retries, maxRetries)
	if r := m.add(now, p, true); r != NoReason {
		o.refuse(r)
		return false
	}
	out.event(Event{Kind: NodeLearned, Node: p.Node, Text: p.URL})
	return true
}

// numbered checks the number of a message that nodes pass on, and tells whether the message is to be handled.
func (m *Machine) numbered(n *node, kind int, seq, time int32, path bin2.IDs, out *Output, o *Outcome) bool {
	switch n.judge(kind, seq, uint32(time), o.Via == n.Node && path.Len() <= 1) {
	case isRepeated:
		o.ignore(Repeated)
		return false
	case isOld:
		o.ignore(OldLife)
		return false
	case isNewLife:
		out.event(Event{Kind: NewLife, Node: n.Node})
	}
	return true
}

// linkUpdate takes the news that a link of n went up or down.
func (m *Machine) linkUpdate(now time.Time, n *node, p bin2.Packet, out *Output, o *Outcome) {
	var msg bin2.LinkUpdate
	if err := msg.Decode(p); err != nil {
		o.malformed(err)
		return
	}
	if !m.numbered(n, linkNumber, msg.Seq, msg.Timestamp, msg.Path, out, o) {
		return
	}
	switch {
	case msg.Neighbour == m.config.Node:
		n.setNeighbour(msg.Neighbour, !msg.Down)
		if msg.Down {
			m.gap(n, NodeSaysDown, out)
		}
		if msg.Down == (n.link == linkUp) || n.link == linkDown {
			n.restart(now)
			m.changed = true
		}
	case m.find(msg.Neighbour) == nil:
		o.ignore(UnknownNode)
		return
	default:
		n.setNeighbour(msg.Neighbour, !msg.Down)
	}
	m.passOn(now, p, msg.Path, out)
}

// topology takes the picture that n has of the cluster.
func (m *Machine) topology(now time.Time, n *node, p bin2.Packet, out *Output, o *Outcome) {
	var msg bin2.Topology
	if err := msg.Decode(p); err != nil {
		o.malformed(err)
		return
	}
	if !m.numbered(n, topologyNumber, msg.Seq, msg.Timestamp, msg.Path, out, o) {
		return
	}
	if o.Via == n.Node && msg.Path.Len() <= 1 {
		// A node sends its topology to us when it takes its link to us for new.
		m.gap(n, NodeJoined, out)
		n.settled = true
	}
	for e := range msg.Nodes.All() {
		m.meet(now, &e, out)
	}
	for e := range msg.Nodes.All() {
		m.links(now, n, &e)
	}
	m.passOn(now, p, msg.Path, out)
}

// meet learns a node from an entry that describes it. The message as a whole is right, so a node that can't be
// learned is counted and the rest of the message taken.
func (m *Machine) meet(now time.Time, e *bin2.NodeEntry, out *Output) {
	if e.ID == m.config.Node || !e.Described || !m.config.Learn || m.find(e.ID) != nil {
		return
	}
	var o Outcome
	if !m.learn(now, Peer{Node: e.ID, URL: string(e.URL), SIPAddr: string(e.SIPAddr), Priority: e.Priority, Retries: e.Retries},
		out, &o) {
		m.reasons[o.Reason]++
	}
}

// links takes what n says about the links of one node. About others than itself it may know less than we do.
func (m *Machine) links(now time.Time, n *node, e *bin2.NodeEntry) {
	about := m.find(e.ID)
	if about == nil || about != n && (e.LinkSeq <= about.linksKnown || e.LinkSeq <= about.numbers[linkNumber].seq && e.LinkSeq >= 0) {
		return
	}
	about.linksKnown = e.LinkSeq
	about.neighbours = about.neighbours[:0]
	for i := range e.Neighbours.Len() {
		id := e.Neighbours.At(i)
		if id == m.config.Node && about.link == linkDown {
			about.restart(now)
			m.changed = true
		}
		if id == m.config.Node || m.find(id) != nil {
			about.setNeighbour(id, true)
		}
	}
}

// removeNode takes the news that an operator removed a node.
func (m *Machine) removeNode(now time.Time, n *node, p bin2.Packet, out *Output, o *Outcome) {
	var msg bin2.RemoveNode
	if err := msg.Decode(p); err != nil {
		o.malformed(err)
		return
	}
	if msg.Node == m.config.Node {
		m.removed = true
		m.changed = true
		out.event(Event{Kind: WeAreRemoved, Node: n.Node})
		return
	}
	gone := m.find(msg.Node)
	switch {
	case gone == nil:
		o.ignore(UnknownNode)
	case !m.config.Learn:
		o.ignore(ConfiguredNode)
	default:
		m.remove(gone)
		out.event(Event{Kind: NodeRemoved, Node: msg.Node, Other: n.Node})
	}
}
