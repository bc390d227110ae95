package member

import (
	"fmt"
	"slices"
	"time"

	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/in/stream"
	"binrepd/userspace/wire/bin2"
)

// idleEnd: a connection that has carried nothing for so long is closed by OpenSIPS in normal operation, and nothing is
// lost by it.
const idleEnd = 30 * time.Second

// link is what is known about a connection. It belongs to the goroutine that reads the connection.
type link struct {
	node    int32 // at the other end; 0: not known yet
	checked int32 // the source whose certificate was checked last
	sender  packets.Sender
	last    time.Time // when the last packet came
	told    bool      // it has brought dialogs or changes of them
	out     membership.Output
}

var _ stream.Handler = (*Member)(nil)

// Connected implements stream.Handler.
func (m *Member) Connected(c *stream.Conn) {
	x := &link{last: time.Now()}
	c.Context = x
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns[c.ID()] = c
	if c.Peer() == nil || m.machine == nil {
		return
	}
	for id, n := range m.nodes {
		if n.dialed == c.Peer() {
			m.belongsLocked(c, x, id)
			m.machine.Connected(x.last, id)
			m.plan()
		}
	}
}

// belongsLocked notes which node is at the other end.
func (m *Member) belongsLocked(c *stream.Conn, x *link, id int32) {
	x.node = id
	n := m.nodeLocked(id)
	n.conns = append(n.conns, c)
	if !c.Dialed() && n.dialed != nil {
		n.dialed.Retry() // the node lives
	}
}

// Packet implements stream.Handler: it asks the machine what to do with a packet, and does it.
func (m *Member) Packet(c *stream.Conn, payload []byte) stream.Verdict {
	p, err := bin2.Parse(payload)
	if err != nil {
		m.broken(c, err)
		return stream.Reject
	}
	x := c.Context.(*link)
	x.last = time.Now()
	x.out.Reset()
	m.mu.Lock()
	if m.machine == nil { // Open has failed
		m.mu.Unlock()
		return stream.Disconnect
	}
	if !m.provenLocked(c, x, p) {
		m.mu.Unlock()
		m.log.Warn("connection closed", "address", c.Remote().String(), "reason", errPin.Error(), "certificate", fingerprint(c.PeerCertificate()))
		return stream.Disconnect
	}
	o := m.machine.Receive(x.last, membership.Origin{Addr: c.Remote().Addr(), Connection: c.ID()}, p, &x.out)
	if x.node == 0 && o.Via != 0 {
		m.belongsLocked(c, x, o.Via)
	}
	verdict := m.verdictLocked(c, x, p, &o)
	if o.Via == o.Source {
		m.donation.promise.Heard(x.last, o.Source)
	}
	m.eventsLocked(x.last, &x.out)
	m.plan()
	m.mu.Unlock()
	if o.First && o.Verdict == membership.Refused {
		m.log.Warn("packets are refused", "reason", o.Reason.String(), "address", c.Remote().String(), "node", o.Source)
	}
	m.perform(x.last, &x.out)
	return verdict
}

// provenLocked checks the certificate of a connection when it brings the first packet of a source.
func (m *Member) provenLocked(c *stream.Conn, x *link, p bin2.Packet) bool {
	_, source, ok := p.Sender()
	if !c.TLS() || !ok || source == x.checked {
		return true
	}
	if !m.pinned(c.Remote().Addr(), source, c.PeerCertificate()) {
		m.counts.unpinned++
		return false
	}
	x.checked = source
	return true
}

func (m *Member) verdictLocked(c *stream.Conn, x *link, p bin2.Packet, o *membership.Outcome) stream.Verdict {
	switch o.Verdict {
	case membership.Handled, membership.Ignored:
		return stream.Consume
	case membership.Forward:
		// We announce no links, so no node should send these here.
		m.counts.forOthers++
		return stream.Reject
	case membership.Deliver:
	default:
		return stream.Reject
	}
	if o.Kind != bin2.NoKind && !(m.fill.expects(o.Source) && ofDialogs(p, o.Kind)) {
		m.counts.unasked++
		return stream.Reject
	}
	// The source is the node that made the packet, not the one that it came from.
	if sender := (packets.Sender{Cluster: uint16(m.cfg.Cluster), Node: uint32(o.Source)}); sender != x.sender {
		x.sender = sender
		c.SetSender(sender)
	}
	x.told = true
	return stream.Deliver
}

// broken counts what is no packet of generation 2.
func (m *Member) broken(c *stream.Conn, err error) {
	m.mu.Lock()
	m.counts.malformed++
	first := m.counts.malformed == 1
	m.mu.Unlock()
	if first {
		m.log.Warn("packets are refused", "reason", err.Error(), "address", c.Remote().String())
	}
}

// Gap implements stream.Handler.
func (m *Member) Gap(c *stream.Conn, g stream.Gap) {
	if !g.Over {
		m.log.Warn("packets are dropped: they come faster than they are applied", "address", c.Remote().String())
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	why := fmt.Sprintf("%d packets were dropped here", g.Packets)
	m.donation.promise.Lost(why)
	node := int32(0)
	if x, ok := c.Context.(*link); ok {
		node = x.node
	}
	m.gapLocked(time.Now(), node, why)
}

// Disconnected implements stream.Handler.
func (m *Member) Disconnected(c *stream.Conn, reason stream.Reason, err error) {
	x, ok := c.Context.(*link)
	if !ok {
		return
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, c.ID())
	n := m.nodes[x.node]
	if m.machine == nil || n == nil {
		return
	}
	n.conns = slices.DeleteFunc(n.conns, func(o *stream.Conn) bool { return o == c })
	if m.stopped {
		return
	}
	if len(n.conns) == 0 {
		m.machine.Disconnected(now, x.node)
	}
	switch {
	case reason == stream.Closed, reason == stream.Stopped, reason == stream.Idle:
	case reason == stream.PeerClosed && now.Sub(x.last) >= idleEnd:
	default:
		how := donor.Lossy
		switch {
		case reason == stream.PeerClosed:
			how = donor.Closed
		case c.Dialed() && !x.told:
			how = donor.Empty // OpenSIPS sends events on its own connection
		}
		m.donation.promise.Broke(x.node, "a connection of it ended: "+reason.String(), how)
		m.gapLocked(now, x.node, fmt.Sprintf("a connection of node %d ended: %s", x.node, reason))
	}
	m.plan()
}

// gapLocked notes that packets of a node may be missing.
func (m *Member) gapLocked(now time.Time, node int32, why string) {
	m.counts.gaps++
	if m.cfg.Judge != nil && node != 0 {
		m.gaps.happened(node)
	}
	m.fill.want(now, why, 0)
	m.rouse()
}
