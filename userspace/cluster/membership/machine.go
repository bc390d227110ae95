package membership

import (
	"fmt"
	"net/netip"
	"time"

	"binrepd/userspace/wire/bin2"
)

// Machine is one node of one cluster. It is not safe for concurrent use.
type Machine struct {
	config Config
	nodes  map[int32]*node
	order  []*node // by id
	tags   map[string]*tag
	// own are the capabilities that we announce.
	own     []capability
	removed bool

	// Our own numbers, each of the last message sent: -1 before the first.
	sent [numbersOfNode]int32

	next    time.Time // what Next returns
	changed bool      // next must be computed anew
	late    bool      // the last Tick came late

	unknown   budget // answers to unknown nodes
	intruder  intruder
	reasons   [Reasons]uint64
	kinds     [bin2.Kinds]uint64
	delivered uint64
	forwarded uint64
	conflicts uint64
}

// intruder is the last one that used our id.
type intruder struct {
	addr netip.Addr
	at   time.Time
}

// New returns a machine that begins to ping its peers at once.
func New(now time.Time, c Config) (*Machine, error) {
	c.setDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	m := &Machine{config: c, nodes: map[int32]*node{}, tags: map[string]*tag{}, changed: true, sent: [numbersOfNode]int32{-1, -1, -1}}
	for _, p := range c.Peers {
		if r := m.add(now, p, false); r != NoReason {
			return nil, peerError(p.Node, r)
		}
	}
	for _, capability := range c.Capabilities {
		m.setOwn(now, capability.Name, capability.Synced)
	}
	return m, nil
}

func peerError(id int32, r Reason) error { return fmt.Errorf("%w: node %d: %s", ErrConfig, id, r) }

// Cluster returns the id of the cluster.
func (m *Machine) Cluster() int32 { return m.config.Cluster }

// Node returns the id of this node.
func (m *Machine) Node() int32 { return m.config.Node }

// Receive takes one packet that came at now from that origin. What it causes is added to out. It keeps no part of p.
func (m *Machine) Receive(now time.Time, from Origin, p bin2.Packet, out *Output) Outcome {
	var o Outcome
	m.receive(now, from, p, out, &o)
	switch o.Verdict {
	case Deliver:
		m.delivered++
	case Forward:
		m.forwarded++
	}
	if o.Reason != NoReason {
		m.reasons[o.Reason]++
		o.First = m.reasons[o.Reason] == 1
	}
	return o
}

func (m *Machine) receive(now time.Time, from Origin, p bin2.Packet, out *Output, o *Outcome) {
	from.Addr = from.Addr.Unmap()
	capability := p.Capability()
	if capability == bin2.Internal || capability == bin2.Extra {
		kind, _, err := bin2.KindOf(p, 0)
		if err != nil {
			o.malformed(err)
			return
		}
		o.Kind = kind
	}
	cluster, source, ok := p.Sender()
	if !ok {
		o.malformed(bin2.Truncated)
		return
	}
	o.Source = source
	trailer, trailed := p.Trailer()
	switch {
	case trailed && trailer.Bridged():
		o.refuse(Bridged)
		return
	case cluster != m.config.Cluster:
		o.refuse(WrongCluster)
		return
	case m.removed:
		o.refuse(Removed)
		return
	case source == m.config.Node:
		m.intruder = intruder{from.Addr, now}
		o.refuse(OwnID)
		return
	}
	n := m.find(source)
	if n == nil {
		m.receiveUnknown(now, from, p, out, o)
		return
	}
	if !m.accept(now, from, n, o) {
		return
	}
	if trailed && trailer.Destination != m.config.Node {
		o.Destination = trailer.Destination
		if m.find(trailer.Destination) == nil {
			o.refuse(UnknownDestination)
			return
		}
		o.Verdict = Forward
		return
	}
	if o.Destination = trailer.Destination; o.Kind == bin2.NoKind {
		o.Verdict = Deliver
		if tag, ok := bin2.OldTagActive(p); ok {
			if r := m.claim(now, n, tag, out); r != NoReason {
				m.reasons[r]++ // the dialog module's own message is delivered all the same
			}
		}
		return
	}
	m.message(now, from, n, p, out, o)
}

// accept checks a packet of a known node and notes that the node lives. It tells whether the packet is accepted.
func (m *Machine) accept(now time.Time, from Origin, n *node, o *Outcome) bool {
	via := m.viaOf(from, n)
	switch {
	case via == nil:
		o.refuse(WrongAddress)
		return false
	case n.disabled:
		o.refuse(SourceDisabled)
		return false
	}
	o.Via = via.Node
	if via != n {
		n.lastVia, n.via = now, via.Node
		return true
	}
	n.lastHeard = now
	if o.Kind != bin2.KindPong {
		n.lastOther = now
		n.nudged = false
	}
	if o.Kind == bin2.NoKind && now.Sub(n.probed) > 2*m.config.PingTimeout {
		n.settled = true
	}
	if n.link == linkDown && o.Kind != bin2.KindPong {
		n.restart(now)
		m.changed = true
	}
	return true
}

// viaOf returns the node from whose address a packet of n came; nil if it is an address of no node.
func (m *Machine) viaOf(from Origin, n *node) *node {
	if !from.Addr.IsValid() {
		return n
	}
	for _, a := range n.Addresses {
		if a == from.Addr {
			return n
		}
	}
	if via := m.owner(from.Addr); via != nil {
		return via
	}
	if m.config.AnyAddress {
		return n
	}
	return nil
}

// message handles a message of the clusterer module from a node that is accepted.
func (m *Machine) message(now time.Time, from Origin, n *node, p bin2.Packet, out *Output, o *Outcome) {
	m.kinds[o.Kind]++
	o.Verdict = Handled
	if o.Via == n.Node && n.dialect.Observe(p) {
		out.event(Event{Kind: DialectLearned, Node: n.Node, Text: n.dialect.Releases()})
		m.repeatCaps(now, n, out)
	}
	switch o.Kind {
	case bin2.KindPing:
		m.ping(now, from, n, p, out, o)
	case bin2.KindPong:
		m.pong(now, n, p, out, o)
	case bin2.KindLink:
		m.linkUpdate(now, n, p, out, o)
	case bin2.KindTopology:
		m.topology(now, n, p, out, o)
	case bin2.KindUnknownID:
		m.unknownID(now, from, n, p, out, o)
	case bin2.KindDescription:
		m.description(now, from, n, p, out, o)
	case bin2.KindCaps:
		m.capUpdate(now, from, n, p, out, o)
	case bin2.KindRemove:
		m.removeNode(now, n, p, out, o)
	case bin2.KindTag:
		m.tagActive(now, n, p, out, o)
	case bin2.KindSyncRequest:
		m.syncRequest(n, p, out, o)
	case bin2.KindSync, bin2.KindSyncEnd:
		o.Verdict = Deliver
	case bin2.KindCommand:
		o.ignore(CommandIgnored)
	case bin2.KindGeneric:
		o.ignore(GenericIgnored)
	}
}

// Next returns when Tick has something to do. It may change with every call of Receive and Tick.
func (m *Machine) Next() time.Time {
	if m.changed {
		m.changed = false
		m.next = time.Time{}
		for _, n := range m.order {
			if n.disabled {
				continue
			}
			if due := n.nextDue(); m.next.IsZero() || due.Before(m.next) {
				m.next = due
			}
		}
	}
	if m.next.IsZero() || m.removed {
		// Nothing is due. A caller that comes back then does no harm.
		return never()
	}
	return m.next
}

// never is a time in the far future.
func never() time.Time { return time.Unix(1<<40, 0) }

// Tick does what is due at now. It may be called at any time.
func (m *Machine) Tick(now time.Time, out *Output) {
	if m.removed {
		return
	}
	m.forgive(now)
	for _, n := range m.order {
		if !n.disabled && !now.Before(n.due) {
			m.step(now, n, out)
		}
		if n.link == linkUp && !n.disabled && !n.guess.IsZero() && !now.Before(n.guess) {
			m.changed = true
			m.askInForm(now, n, out)
		}
	}
}

// forgive gives nodes more time when we ourselves were stopped, or were too busy to call Tick: their answers may be
// waiting to be read. It does so once, not for a caller that is always late.
func (m *Machine) forgive(now time.Time) {
	late := now.Sub(m.Next()) > m.config.PingTimeout
	if late && !m.late {
		for _, n := range m.order {
			if n.awaiting && n.link != linkDown {
				n.lastPing = now
				n.setDue(m, now.Add(m.config.PingTimeout))
			}
		}
	}
	m.late = late
}

// budget limits something to a number per second.
type budget struct {
	second time.Time
	spent  int
}

func (b *budget) take(now time.Time, limit int) bool {
	if d := now.Sub(b.second); d >= time.Second || d < 0 {
		*b = budget{second: now}
	}
	b.spent++
	return b.spent <= limit
}
