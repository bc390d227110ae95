package membership

import (
	"slices"
	"time"

	"binrepd/userspace/wire/bin2"
)

// capUpdate takes what nodes have, as n says.
func (m *Machine) capUpdate(now time.Time, from Origin, n *node, p bin2.Packet, out *Output, o *Outcome) {
	var msg bin2.CapUpdate
	if err := msg.Decode(p); err != nil {
		o.malformed(err)
		return
	}
	if msg.HasSeq && !m.numbered(n, capsNumber, msg.Seq, msg.Timestamp, msg.Path, out, o) {
		return
	}
	for e := range msg.Nodes.All() {
		if e.ID == m.config.Node {
			continue
		}
		about := m.find(e.ID)
		if about == nil {
			// OpenSIPS drops the rest of such a message, and so must all of its receivers, for the same picture.
			o.ignore(UnknownNode)
			return
		}
		// What a node says about itself counts; what another says about it may be old.
		if about == n {
			n.ownCaps = true
		} else if about.ownCaps {
			continue
		}
		for c := range e.Caps.All() {
			if r := m.setCap(now, about, c, out); r != NoReason {
				o.refuse(r) // that capability; the others count
			}
		}
	}
	if msg.WantReply && msg.Path.Len() <= 1 && len(m.own) > 0 {
		m.sendCaps(now, n, false, from.Connection, out)
	}
	m.passOn(now, p, msg.Path, out)
}

// setCap notes the state of a capability of a node.
func (m *Machine) setCap(now time.Time, n *node, c bin2.Cap, out *Output) Reason {
	if len(c.Name) == 0 || len(c.Name) > MaxText {
		return TextTooLong
	}
	at := slices.IndexFunc(n.caps, func(have capability) bool { return have.name == string(c.Name) })
	if at < 0 {
		if len(n.caps) >= MaxCaps {
			return TooManyCaps
		}
		at = len(n.caps)
		n.caps = append(n.caps, capability{name: textOf(c.Name), synced: !c.Synced})
	}
	if have := &n.caps[at]; have.synced != c.Synced {
		have.synced, have.since = c.Synced, now
		out.event(Event{Kind: CapabilityChanged, Node: n.Node, Text: have.name, On: c.Synced})
	}
	return NoReason
}

// textOf returns the name of a capability, without a new string for those that are known.
func textOf(name []byte) string {
	if known := bin2.CapabilityOf(name); known != bin2.OtherCapability {
		return known.String()
	}
	return string(name)
}

func (m *Machine) setOwn(now time.Time, name string, synced bool) (changed bool) {
	at := slices.IndexFunc(m.own, func(c capability) bool { return c.name == name })
	if at < 0 {
		if len(m.own) >= MaxCaps || name == "" || len(name) > MaxText {
			return false
		}
		m.own = append(m.own, capability{name: name, synced: synced, since: now})
		return true
	}
	if m.own[at].synced == synced {
		return false
	}
	m.own[at].synced, m.own[at].since = synced, now
	return true
}

// SetCapability changes the state of a capability of ours, or adds one, and tells all nodes that are up. A node that
// sees the state true may ask for all data at any time.
func (m *Machine) SetCapability(now time.Time, name string, synced bool, out *Output) {
	if !m.setOwn(now, name, synced) || m.removed {
		return
	}
	at := slices.IndexFunc(m.own, func(c capability) bool { return c.name == name })
	m.sent[capsNumber]++ // one message for all
	for _, n := range m.order {
		if n.link == linkUp && !n.disabled && n.guess.IsZero() {
			m.sendCapsOf(now, n, m.own[at:at+1], false, 0, out)
		}
	}
}

// Synced returns the nodes that are up and announce that their data of a capability are complete, in order of their
// ids. One of them is the node to ask for a sync. A node whose release isn't known yet isn't among them: it may not
// understand the question, and wouldn't answer then.
func (m *Machine) Synced(name string) []int32 {
	var nodes []int32
	for _, n := range m.order {
		if n.link != linkUp || n.disabled || n.dialect.Numbering == 0 {
			continue
		}
		if slices.ContainsFunc(n.caps, func(c capability) bool { return c.name == name && c.synced }) {
			nodes = append(nodes, n.Node)
		}
	}
	return nodes
}
