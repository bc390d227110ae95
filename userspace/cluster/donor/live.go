package donor

import (
	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/wire/bin2"
)

// appendLive appends the packet by which a node tells others of a call, to dst.
func (p *Peer) appendLive(dst []byte, kind layout.Kind, body []byte) ([]byte, Reason) {
	version := p.Layout.Version()
	number, ok := kind.Number(version)
	if !ok {
		return dst, NoMessage
	}
	if p.Layout == layout.Bin1FourSDP && kind == layout.CSeq {
		number = 4 // 3.0.0 numbers as later releases do
	}
	w := bin2.Begin(dst, int16(version), bin2.Dialogs.String(), number)
	w.Raw(body)
	out, err := w.EndTrailer(p.Trailer)
	if err != nil {
		return dst, TooLong
	}
	return out, Passed
}

// pushed returns the message that brings the dialog that was just encoded to a node that may know it. An update would put a
// dialog back from state 4 to 3. A creation builds the dialog if it is missing, and is ignored otherwise.
func (e *Encoder) pushed() layout.Kind {
	if dialog.State(e.view.Number(layout.State)) == dialog.Confirmed {
		return layout.Updated
	}
	return layout.Created
}

// Live tells one node of calls as they change, as if this node had made them. It allocates nothing per change. One goroutine
// uses it; any may call Lost.
type Live struct {
	peer    Peer
	encoder *Encoder
	body    []byte
}

// NewLive returns a Live for a node.
func NewLive(p Peer, r Rewrites) *Live { return &Live{peer: p, encoder: NewEncoder(p.Layout, r)} }

// Peer returns the node.
func (l *Live) Peer() Peer { return l.peer }

// Lost returns what conversions could not carry over.
func (l *Live) Lost() layout.Lost { return l.encoder.Lost() }

// Append appends the packet that tells of a change to dst. If the reason isn't Passed, dst comes back as it was. now is in
// Unix seconds.
func (l *Live) Append(dst []byte, c *changes.Change, now uint32) ([]byte, Reason) {
	var kind layout.Kind
	var reason Reason
	switch c.Kind {
	case dialog.Create, dialog.Update, dialog.Chunk:
		if c.State == dialog.Ended {
			l.body, kind, reason = l.encoder.endOf(l.body[:0], c)
			break
		}
		l.body, reason, _ = l.encoder.Dialog(l.body[:0], layout.ID(c.Layout), c.Body(), now)
		if kind = layout.Updated; c.Kind == dialog.Create {
			kind = layout.Created
		}
	default:
		l.body, kind, reason = l.encoder.Message(l.body[:0], c)
	}
	if reason != Passed {
		return dst, reason
	}
	return l.peer.appendLive(dst, kind, l.body)
}

// endOf appends the body of DELETED for a snapshot in state 5.
func (e *Encoder) endOf(dst []byte, c *changes.Change) ([]byte, layout.Kind, Reason) {
	v := &e.view
	if layout.Parse(layout.ID(c.Layout), c.Body(), v) != layout.NoFault {
		return dst, layout.Deleted, Malformed
	}
	m := layout.Deletion{CallID: v.Bytes(layout.CallID), FromTag: v.Bytes(layout.FromTag), ToTag: v.Bytes(layout.ToTag), HID: v.Number(layout.HID)}
	if m.HID == 0 {
		m.HID = layout.ChosenHID(m.CallID, m.FromTag, m.ToTag)
	}
	out, fault := m.Append(dst, e.to.Version())
	if fault != layout.NoFault {
		return dst, layout.Deleted, Malformed
	}
	return out, layout.Deleted, Passed
}

// LayoutFor returns in which layout a node takes live packets, and None if that can't be told yet. own is the layout in which
// it last sent dialogs, and others are those of the other nodes of its cluster; None among them stands for a node that sent
// none. A guess could make a node take lists for something else: 3.3 and 3.4 both say version 4.
func LayoutFor(d bin2.Dialect, own layout.ID, others []layout.ID) layout.ID {
	if d.SyncVersion != 0 {
		return LayoutOf(d.SyncVersion, d, own, others)
	}
	if speaks(d, own) {
		return own // unless it was replaced by another release, which its messages show
	}
	for _, id := range others {
		if speaks(d, id) {
			return id
		}
	}
	return layout.None
}

// speaks tells whether a release that sends a layout can have a dialect.
func speaks(d bin2.Dialect, id layout.ID) bool {
	switch {
	case id <= layout.UDP:
		return false
	case d.Numbering == bin2.Old:
		return id <= layout.Bin4Untyped
	case d.Numbering == bin2.New && d.CapForm == bin2.WithSeq:
		return id >= layout.Bin4Untyped
	case d.Numbering == bin2.New:
		return id >= layout.Bin2Routes
	}
	return true
}

// byRelease are the layouts of the last patch of each release. Source: section 4.2 of the specification of generation 2.
var byRelease = [...]struct {
	release string
	id      layout.ID
}{
	{"2.4", layout.Bin1TwoSDP}, {"3.0", layout.Bin2Plain}, {"3.1", layout.Bin4Untyped}, {"3.2", layout.Bin4Untyped},
	{"3.3", layout.Bin4Untyped}, {"3.4", layout.Bin4Typed}, {"3.5", layout.Bin4Typed}, {"3.6", layout.Bin4Typed},
	{"4.0", layout.Bin4Typed}, {"next", layout.Bin5},
}

// LayoutOfRelease returns the layout of the last patch of a release, such as 3.6, and None for one that isn't known.
func LayoutOfRelease(release string) layout.ID {
	for _, r := range byRelease {
		if r.release == release {
			return r.id
		}
	}
	return layout.None
}
