package membership

import (
	"time"

	"binrepd/userspace/wire/bin2"
)

// restartPause is the shortest time between a PING and one that is sent out of turn, so that two sides which look
// for each other don't do it without end.
const restartPause = 200 * time.Millisecond

// restart makes the next step of the link a PING, at once or restartPause after the last one.
func (n *node) restart(now time.Time) {
	if n.link != linkUp {
		n.setLink(now, starting)
	}
	n.due = now
	if soonest := n.lastPing.Add(restartPause); soonest.After(now) {
		n.due = soonest
	}
}

func (n *node) setLink(now time.Time, to link) {
	if n.link.state() != to.state() {
		n.since = now
	}
	n.link = to
}

func (n *node) setDue(m *Machine, at time.Time) {
	n.due = at
	m.changed = true
}

// step does what is due for a link.
func (m *Machine) step(now time.Time, n *node, out *Output) {
	m.changed = true
	switch n.link {
	case starting:
		n.failures = 0
		n.setLink(now, waiting)
		m.sendPing(now, n, true, out)
		return
	case linkDown:
		m.sendPing(now, n, true, out)
		n.due = now.Add(m.config.NodeTimeout)
		return
	case linkUp:
		if !n.awaiting {
			m.nudge(now, n, out)
			m.sendPing(now, n, false, out)
			return
		}
		// A node that sends is alive, even if its PONG waits behind what it sends.
		if alive := n.lastHeard.Add(m.config.PingTimeout); alive.After(now) {
			n.due = alive
			return
		}
		m.lose(now, n, out)
	case waiting:
		n.failures = 0
		n.setLink(now, retrying)
	}
	if n.failures >= n.Retries {
		n.setLink(now, linkDown)
		n.due = now.Add(m.config.NodeTimeout)
		out.event(Event{Kind: LinkDown, Node: n.Node})
		return
	}
	n.failures++
	m.sendPing(now, n, true, out)
}

// lose notes that the link to a node that was up isn't any more.
func (m *Machine) lose(now time.Time, n *node, out *Output) {
	n.failures = 0
	n.setLink(now, retrying)
	n.suspect = true
	out.event(Event{Kind: LinkLost, Node: n.Node})
	m.announceLink(now, n, true, out)
}

// nudge sends a PONG that nobody asked for to a node that answers pings but sends nothing. OpenSIPS overlooks a
// PONG that comes too early, and then neither pings again nor uses the link; a later PONG ends that.
func (m *Machine) nudge(now time.Time, n *node, out *Output) {
	silent := n.lastOther
	if silent.Before(n.since) {
		silent = n.since
	}
	if n.nudged || now.Sub(silent) < m.config.Quiet {
		return
	}
	n.nudged = true
	m.sendPong(now, now, n, 0, out)
	out.event(Event{Kind: Nudged, Node: n.Node})
}

// ping answers a PING.
func (m *Machine) ping(now time.Time, from Origin, n *node, p bin2.Packet, out *Output, o *Outcome) {
	var msg bin2.Ping
	// A later release may add fields. To refuse its pings would take the link down.
	if err := msg.Decode(p); err != nil && err != bin2.Leftover {
		o.malformed(err)
		return
	}
	// One PONG answers all pings that came before it, but it must not follow one of them too soon.
	if due := now.Add(m.config.PongDelay); n.pongAt.Before(now.Add(m.config.PongDelay/2)) || n.pongAt.After(due) {
		m.sendPong(now, due, n, from.Connection, out)
	}
	if msg.WantNodes {
		n.probed = now
		m.gap(n, NodeProbes, out)
	} else {
		n.settled = true
	}
	if n.link == linkDown || n.link == retrying {
		n.restart(now)
	}
	if n.link == starting && !now.Before(n.due) {
		m.step(now, n, out)
	}
	m.changed = true
}

// gap tells of a gap if the node takes a link for new that it had taken for up.
func (m *Machine) gap(n *node, cause Cause, out *Output) {
	if n.settled {
		n.settled, n.suspect = false, true
		out.event(Event{Kind: Gap, Node: n.Node, Cause: cause})
	}
}

// pong takes the answer to a PING.
func (m *Machine) pong(now time.Time, n *node, p bin2.Packet, out *Output, o *Outcome) {
	var msg bin2.Pong
	if err := msg.Decode(p); err != nil && err != bin2.Leftover {
		o.malformed(err)
		return
	}
	m.changed = true
	n.lastPong = now
	if !n.awaiting {
		if n.link == linkDown {
			n.restart(now)
		}
		return
	}
	n.awaiting = false
	n.due = n.lastPing.Add(m.config.PingInterval)
	if n.link == linkUp {
		return
	}
	n.setLink(now, linkUp)
	n.failures = 0
	n.nudged = false
	out.event(Event{Kind: LinkUp, Node: n.Node})
	if n.everUp {
		out.event(Event{Kind: Gap, Node: n.Node, Cause: LinkWasLost})
	}
	n.everUp = true
	m.announceLink(now, n, false, out)
	m.sendTopology(now, n, out)
	m.introduce(now, n, out)
}

// unknownID tells the node who we are: it has got a PING from us and doesn't know us.
func (m *Machine) unknownID(now time.Time, from Origin, n *node, p bin2.Packet, out *Output, o *Outcome) {
	var msg bin2.UnknownID
	if err := msg.Decode(p); err != nil {
		o.malformed(err)
		return
	}
	if !n.told.IsZero() && now.Sub(n.told) < m.config.PingTimeout {
		o.ignore(TooOften)
		return
	}
	n.told = now
	m.sendDescription(now, n, from.Connection, out)
	if n.link != linkUp {
		n.setLink(now, starting)
	}
	// The node needs a moment to take us in. It pings us within a second.
	n.setDue(m, now.Add(m.config.PingTimeout))
}

// SendFailed tells that something could not be sent to a node: no connection could be made, or a write failed.
func (m *Machine) SendFailed(now time.Time, id int32, out *Output) {
	n := m.find(id)
	if n == nil || n.disabled || m.removed {
		return
	}
	switch n.link {
	case linkUp:
		m.lose(now, n, out)
		n.setDue(m, now.Add(m.config.PingTimeout))
	case waiting:
		n.failures = 0
		n.setLink(now, retrying)
		n.setDue(m, now.Add(m.config.PingTimeout))
	}
	// The other states have a next step already.
}

// Disconnected tells that the last connection to or from a node was closed. That alone takes no link down: OpenSIPS
// opens a new one for its next packet. But it may be a restart, so the node is pinged at once.
func (m *Machine) Disconnected(now time.Time, id int32) {
	n := m.find(id)
	if n == nil {
		return
	}
	n.suspect = true
	if n.link == linkUp && !n.awaiting {
		n.restart(now)
		m.changed = true
	}
}

// Enable makes the machine take part again after WeAreRemoved.
func (m *Machine) Enable(now time.Time) {
	if !m.removed {
		return
	}
	m.removed = false
	m.changed = true
	for _, n := range m.order {
		n.setLink(now, starting)
		n.restart(now)
	}
}

// Connected tells that this side has made a connection to a node. A node whose link isn't up is pinged now, instead of
// at the end of a pause.
func (m *Machine) Connected(now time.Time, id int32) {
	n := m.find(id)
	if n == nil || n.disabled || m.removed || n.link == linkUp {
		return
	}
	n.restart(now)
	m.changed = true
}
