package membership

import (
	"time"

	"binrepd/userspace/wire/bin2"
)

// tag is a sharing tag. OpenSIPS tells only who became active for it.
type tag struct {
	active    int32
	since     time.Time // when the node became active, as we saw it
	claimed   time.Time // last claim of that node
	previous  int32     // 0: none
	conflicts uint64
	conflict  time.Time // of the last one
}

func (m *Machine) tagActive(now time.Time, n *node, p bin2.Packet, out *Output, o *Outcome) {
	var msg bin2.TagActive
	if err := msg.Decode(p); err != nil {
		o.malformed(err)
		return
	}
	if r := m.claim(now, n, msg.Tag, out); r != NoReason {
		o.refuse(r)
	}
}

// claim notes that n says it is active for a tag. It returns NoReason, or why it can't.
func (m *Machine) claim(now time.Time, n *node, name []byte, out *Output) Reason {
	if len(name) == 0 || len(name) > MaxText {
		return TextTooLong
	}
	t := m.tags[string(name)]
	if t == nil {
		if len(m.tags) >= MaxTags {
			return TooManyTags
		}
		t = &tag{active: n.Node, since: now, claimed: now}
		m.tags[string(name)] = t
		out.event(Event{Kind: TagChanged, Node: n.Node, Text: string(name)})
		return NoReason
	}
	if t.active == n.Node {
		t.claimed = now
		return NoReason
	}
	// A tag that was moved is claimed once. Two claims within a short time are of two nodes that both take
	// themselves for active.
	conflict := now.Sub(t.claimed) < m.config.TagWindow
	t.previous, t.active, t.since, t.claimed = t.active, n.Node, now, now
	out.event(Event{Kind: TagChanged, Node: n.Node, Other: t.previous, Text: string(name)})
	if conflict {
		t.conflicts++
		t.conflict = now
		m.conflicts++
		out.event(Event{Kind: TagConflict, Node: n.Node, Other: t.previous, Text: string(name)})
	}
	return NoReason
}
