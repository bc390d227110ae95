package shield

import (
	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
)

// Dialogs looks up what a conversion needs beyond the change itself. Package snapshot has one for a table.
type Dialogs interface {
	// Whole appends the live dialog that a value or a CSeq number is about, and returns its layout. ok is false if there is
	// none.
	Whole(dst []byte, c *changes.Change) (body []byte, id layout.ID, ok bool)
	// Alive tells whether a live dialog has the Call-ID and the tags of a deletion.
	Alive(m *layout.Deletion) bool
}

// conversion is the memory that the conversions of a shield use.
type conversion struct {
	view   layout.View
	report layout.Report
	whole  []byte
	body   []byte
}

// converts tells whether the change is of generation 2 and is to be converted for a destination of generation 1.
func (s *Shield) converts(c *changes.Change) bool {
	return s.policy.Convert != nil && layout.ID(c.Layout) > layout.UDP && layout.ID(s.policy.Dialect.Layout()) == layout.UDP
}

// convert returns the kind and the body that tell a destination of generation 1 of a change of generation 2. What such a
// proxy has no message for becomes an update of the whole dialog.
func (s *Shield) convert(c *changes.Change) (dialog.Kind, dialog.Packed, Reason) {
	x, kind := &s.conversion, c.Kind
	body, id := c.Body(), layout.ID(c.Layout)
	x.report = layout.Report{}
	switch kind {
	case dialog.Delete:
		var m layout.Deletion
		if layout.ParseDeletion(id.Version(), body, &m) != layout.NoFault {
			return kind, nil, Malformed
		}
		if s.policy.Convert.Alive(&m) { // a looped call: generation 1 tells its dialogs apart by nothing
			return kind, nil, Looped
		}
		var fault layout.Fault
		if x.body, fault = m.Append(x.body[:0], layout.UDP.Version()); fault != layout.NoFault {
			return kind, nil, Malformed
		}
		return kind, x.body, Passed
	case dialog.Value, dialog.CSeq:
		var ok bool
		if x.whole, id, ok = s.policy.Convert.Whole(x.whole[:0], c); !ok {
			return kind, nil, NotHere
		}
		body, kind = x.whole, dialog.Update
	case dialog.Chunk:
		kind = dialog.Update
	}
	if layout.Parse(id, body, &x.view) != layout.NoFault {
		return kind, nil, Malformed
	}
	var fault layout.Fault
	switch x.body, fault = x.view.Convert(x.body[:0], layout.UDP, &x.report); fault {
	case layout.NoFault:
		return kind, x.body, Passed
	case layout.TooLong:
		return kind, nil, TooLong
	}
	return kind, nil, Malformed
}

// refused tells why a destination of generation 1 doesn't know a socket of a dialog that was converted for it.
func (s *Shield) refused(body dialog.Packed) Reason {
	if s.conversion.report.Refusal == layout.NotRefused {
		return Passed
	}
	f := body.Fields() // a rule may have replaced the socket
	for _, socket := range [...][]byte{f.Bytes(dialog.CallerSocket), f.Bytes(dialog.CalleeSocket)} {
		switch layout.JudgeSocket(socket, layout.UDP) {
		case layout.SocketTag:
			s.counts.socket(socket)
			return SocketTag
		case layout.SocketProtocol:
			s.counts.socket(socket)
			return SocketProtocol
		}
	}
	return Passed
}
