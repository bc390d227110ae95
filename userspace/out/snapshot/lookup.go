package snapshot

import (
	"bytes"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
)

// Lookup finds single dialogs in the table, for conversions (shield.Dialogs). Any goroutine may use it that holds no shard.
type Lookup struct {
	Table *dialog.Table
	// Hash returns the steering hash of a Call-ID.
	Hash func(callID []byte) uint32
}

// Whole appends the live dialog that a value or a CSeq number is about to dst, and returns its layout. ok is false if there
// is none.
func (l Lookup) Whole(dst []byte, c *changes.Change) (body []byte, id layout.ID, ok bool) {
	version := layout.ID(c.Layout).Version()
	var value layout.ValueChange
	var cseq layout.CSeqChange
	switch {
	case c.Kind == dialog.Value && layout.ParseValue(version, c.Body(), &value) == layout.NoFault:
		cseq = layout.CSeqChange{CallID: value.CallID, HID: value.HID, HasHID: true}
	case c.Kind == dialog.CSeq && layout.ParseCSeq(version, c.Body(), &cseq) == layout.NoFault:
	default:
		return dst, layout.None, false
	}
	var v layout.View
	l.Table.Get(l.Hash(cseq.CallID), cseq.CallID, func(d *dialog.View) bool {
		if !d.State().Live() {
			return true
		}
		if cseq.HasHID && d.Layout().Version() >= 4 {
			ok = layout.Parse(d.Layout(), d.Body(), &v) == layout.NoFault && v.Number(layout.HID) == cseq.HID
		} else {
			_, from, to := d.Names()
			ok = cseq.Tag == nil || eitherWay(from, to, cseq.Tag, cseq.OtherTag)
		}
		if ok {
			dst, id = append(dst, d.Body()...), d.Layout()
		}
		return !ok
	})
	return dst, id, ok
}

// Alive tells whether a live dialog has the Call-ID and the tags of a deletion, in either order.
func (l Lookup) Alive(m *layout.Deletion) (found bool) {
	l.Table.Get(l.Hash(m.CallID), m.CallID, func(d *dialog.View) bool {
		_, from, to := d.Names()
		found = d.State().Live() && eitherWay(from, to, m.FromTag, m.ToTag)
		return !found
	})
	return found
}

func eitherWay(from, to, a, b []byte) bool {
	return bytes.Equal(from, a) && bytes.Equal(to, b) || bytes.Equal(from, b) && bytes.Equal(to, a)
}
