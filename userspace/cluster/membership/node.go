package membership

import (
	"net/netip"
	"slices"
	"time"

	"binrepd/userspace/wire/bin2"
)

// link is the state of the link to a node, as we see it.
type link uint8

const (
	// starting: a PING is to be sent at due.
	starting link = iota
	// waiting: the first PING was sent.
	waiting
	// retrying: a PING was not answered or not sent, and is repeated.
	retrying
	linkUp
	linkDown
)

// LinkState is the state of a link as OpenSIPS's clusterer_list prints it.
type LinkState string

// The states of a link.
const (
	Up    LinkState = "Up"
	Down  LinkState = "Down"
	Probe LinkState = "Probe"
)

func (l link) state() LinkState {
	switch l {
	case linkUp:
		return Up
	case linkDown:
		return Down
	}
	return Probe
}

// node is what is known about another node.
type node struct {
	Peer
	learned  bool
	disabled bool
	dialect  bin2.Dialect

	link     link
	since    time.Time // of the state that link.state gives
	due      time.Time // of the next step of the link
	failures int32     // retries that were sent
	awaiting bool      // a PING was sent and no PONG came since
	everUp   bool
	lastPing time.Time // sent
	lastPong time.Time // received
	pongAt   time.Time // of the last PONG that was given out
	told     time.Time // when our description was sent last

	lastHeard time.Time // last packet that came from the node itself
	lastOther time.Time // last such packet that wasn't a PONG
	lastVia   time.Time // last packet that another node passed on
	via       int32     // which node that was
	// settled: the node has shown that it takes its link to us for up.
	settled bool
	probed  time.Time // last PING of a node that looks for us
	nudged  bool

	numbers   [numbersOfNode]number
	lifeBegan uint32 // Unix seconds, by the node's clock; 0 for the first life that was seen
	lives     int    // restarts that were seen
	suspect   bool   // something looked like a restart

	caps []capability
	// ownCaps: the capabilities were announced by the node itself, not by another one about it.
	ownCaps bool
	// capsSent is the dialect in which ours were sent to the node.
	capsSent bin2.Dialect
	// guess is when to send ours in a form that the node may not read, because its own isn't known yet; zero: never.
	// guesses is how often that was done since the link came up.
	guess      time.Time
	guesses    int
	neighbours []int32
	// linksKnown is the number of the last link update that neighbours takes into account: noLinks if nothing was
	// told.
	linksKnown int32
}

// nextDue returns when something is to be done for the node.
func (n *node) nextDue() time.Time {
	if n.link == linkUp && !n.guess.IsZero() && n.guess.Before(n.due) {
		return n.guess
	}
	return n.due
}

// noLinks is below the number of a node that never sent a link update.
const noLinks = -2

type capability struct {
	name   string
	synced bool
	since  time.Time
}

// find returns the node with that id, or nil.
func (m *Machine) find(id int32) *node { return m.nodes[id] }

// owner returns the node that has the address, or nil.
func (m *Machine) owner(addr netip.Addr) *node {
	for _, n := range m.order {
		if slices.Contains(n.Addresses, addr) {
			return n
		}
	}
	return nil
}

// add makes p known. It returns NoReason, or why p can't be added.
func (m *Machine) add(now time.Time, p Peer, learned bool) Reason {
	switch {
	case p.Node < 1:
		return BadID
	case p.Node == m.config.Node:
		return OwnID
	case m.find(p.Node) != nil:
		return KnownNode
	case len(p.URL) > MaxText || len(p.SIPAddr) > MaxText || len(p.Description) > MaxText || len(p.Addresses) > MaxAddresses:
		return TextTooLong
	case p.URL != "" && p.URL == m.config.URL:
		return OwnURL
	}
	if len(m.order) >= MaxNodes && !m.makeRoom() {
		return TooManyNodes
	}
	setDefault(&p.Priority, DefaultPriority)
	setDefault(&p.Retries, DefaultRetries)
	p.Addresses = slices.Clone(p.Addresses)
	for i, a := range p.Addresses {
		p.Addresses[i] = a.Unmap()
	}
	if addr, ok := addressOf(p.URL); ok && len(p.Addresses) == 0 {
		p.Addresses = []netip.Addr{addr}
	}
	n := &node{Peer: p, learned: learned, since: now, due: now, linksKnown: noLinks}
	for i := range n.numbers {
		n.numbers[i].seq = -1
	}
	m.nodes[p.Node] = n
	m.order = append(m.order, n)
	slices.SortFunc(m.order, func(a, b *node) int { return int(a.Node) - int(b.Node) })
	m.changed = true
	return NoReason
}

// makeRoom removes the learned node that has been down for longest without ever having been up.
func (m *Machine) makeRoom() bool {
	var oldest *node
	for _, n := range m.order {
		if n.learned && !n.everUp && n.link == linkDown && (oldest == nil || n.since.Before(oldest.since)) {
			oldest = n
		}
	}
	if oldest == nil {
		return false
	}
	m.remove(oldest)
	return true
}

func (m *Machine) remove(n *node) {
	delete(m.nodes, n.Node)
	m.order = slices.DeleteFunc(m.order, func(o *node) bool { return o == n })
	for _, o := range m.order {
		o.setNeighbour(n.Node, false)
	}
	m.changed = true
}

func (n *node) setNeighbour(id int32, up bool) {
	at := slices.Index(n.neighbours, id)
	switch {
	case up && at < 0 && len(n.neighbours) < bin2.MaxNeighbours:
		n.neighbours = append(n.neighbours, id)
	case !up && at >= 0:
		n.neighbours = slices.Delete(n.neighbours, at, at+1)
	}
}

// AddPeer adds a node while the machine runs.
func (m *Machine) AddPeer(now time.Time, p Peer) error {
	if r := m.add(now, p, false); r != NoReason {
		return peerError(p.Node, r)
	}
	return nil
}

// RemovePeer forgets a node. It tells whether there was one.
func (m *Machine) RemovePeer(id int32) bool {
	n := m.find(id)
	if n != nil {
		m.remove(n)
	}
	return n != nil
}

// SetAddresses says from which addresses a node may connect; more than MaxAddresses are cut off. It is for nodes
// whose URL holds a name. It tells whether the node is known.
func (m *Machine) SetAddresses(id int32, addresses []netip.Addr) bool {
	n := m.find(id)
	if n == nil {
		return false
	}
	n.Addresses = slices.Clone(addresses[:min(len(addresses), MaxAddresses)])
	for i, a := range n.Addresses {
		n.Addresses[i] = a.Unmap()
	}
	return true
}

// SetDisabled makes the machine refuse a node's packets and leave it alone, or ends that. It tells whether the node
// is known.
func (m *Machine) SetDisabled(now time.Time, id int32, disabled bool) bool {
	n := m.find(id)
	if n == nil {
		return false
	}
	if n.disabled != disabled {
		n.disabled = disabled
		n.restart(now)
		n.setLink(now, starting)
		m.changed = true
	}
	return true
}
