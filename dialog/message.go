package dialog

import "binrepd/dialog/layout"

// Events of generation 2 are made of what the package layout reads.

// SetSnapshot makes ev a Create, Update or Chunk of the dialog that v views.
func (ev *Event) SetSnapshot(v *layout.View, kind Kind) {
	id := v.Layout()
	*ev = Event{
		Kind: kind, State: State(v.Number(layout.State)), Layout: id, Start: v.Number(layout.Start),
		Timeout: v.Number(layout.Timeout), Key: v.Key(), Body: v.Body(), timeoutAt: uint16(v.TimeoutOffset()),
	}
	if hasHID(id) {
		ev.HID = v.Number(layout.HID)
	}
}

// SetDeletion makes ev the Delete that b says in the layout id. After a fault ev must not be used.
func (ev *Event) SetDeletion(id layout.ID, b []byte) layout.Fault {
	var m layout.Deletion
	if fault := layout.ParseDeletion(id.Version(), b, &m); fault != layout.NoFault {
		return fault
	}
	keySize := len(b)
	if m.HasHID {
		keySize -= 4
	}
	*ev = Event{Kind: Delete, Layout: id, Key: b[:keySize:keySize], Body: b, HID: m.HID}
	return layout.NoFault
}

// SetValue makes ev the Value that b says in the layout id. After a fault ev must not be used.
func (ev *Event) SetValue(id layout.ID, b []byte) layout.Fault {
	var m layout.ValueChange
	if fault := layout.ParseValue(id.Version(), b, &m); fault != layout.NoFault {
		return fault
	}
	keySize := 2 + len(m.CallID)
	*ev = Event{Kind: Value, Layout: id, Key: b[:keySize:keySize], Body: b, HID: m.HID}
	return layout.NoFault
}

// SetCSeq makes ev the CSeq that b says in the layout id. After a fault ev must not be used.
func (ev *Event) SetCSeq(id layout.ID, b []byte) layout.Fault {
	var m layout.CSeqChange
	if fault := layout.ParseCSeq(id.Version(), b, &m); fault != layout.NoFault {
		return fault
	}
	keySize := 3*2 + len(m.CallID) + len(m.OtherTag) + len(m.Tag)
	*ev = Event{Kind: CSeq, Layout: id, Key: b[:keySize:keySize], Body: b, HID: m.HID}
	return layout.NoFault
}
