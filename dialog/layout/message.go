package layout

import "bytes"

// Kind is what a packet of capability dialog-dlg-repl, or a datagram of generation 1, tells.
type Kind uint8

const (
	NoKind    Kind = iota
	Created        // body: a dialog
	Updated        // body: a dialog
	Deleted        // Deletion
	CSeq           // CSeqChange
	Value          // ValueChange
	TagActive      // Tag; 2.4 only. From 3.0 on the cluster itself announces tags.
	Kinds
)

var kindNames = [Kinds]string{"none", "created", "updated", "deleted", "cseq", "value", "tag_active"}

// String returns the name of the kind in status and metrics.
func (k Kind) String() string {
	if k < Kinds {
		return kindNames[k]
	}
	return "invalid"
}

// KindOf tells what a message of a version and a type is. Version 1 is sent by 2.4 and by 3.0.0, which number their
// messages differently: what consumes the body exactly decides. Source: section 4.1 of the specification of
// generation 2.
func KindOf(version Version, number int32, body []byte) (Kind, Fault) {
	if version > LastVersion {
		return NoKind, NoSuchVersion
	}
	switch {
	case number >= 1 && number <= 3:
		return Kind(number), NoFault
	case number == 4 && version == 1:
		c := cursor{b: body}
		if c.string(); c.end() == NoFault {
			return TagActive, NoFault
		}
		return CSeq, NoFault
	case number == 4 && version >= 2, number == 5 && version == 1:
		return CSeq, NoFault
	case number == 5 && version >= 4:
		return Value, NoFault
	}
	return NoKind, NoSuchType
}

// Number returns the type of the message in packets of a version: the inverse of KindOf. A version that doesn't have
// the message returns false. For version 1 it is the number of 2.4.
func (k Kind) Number(version Version) (int32, bool) {
	switch {
	case version > LastVersion:
	case k >= Created && k <= Deleted:
		return int32(k), true
	case k == CSeq && version == 1:
		return 5, true
	case k == CSeq && version >= 2, k == TagActive && version == 1:
		return 4, true
	case k == Value && version >= 4:
		return 5, true
	}
	return 0, false
}

// hidVersion is the version from which on messages name the dialog by h_id.
const hidVersion = 4

// Deletion is the message DELETED: a dialog has ended.
type Deletion struct {
	CallID, FromTag, ToTag []byte
	HID                    uint32 // from version 4 on
	HasHID                 bool
}

// ParseDeletion reads a message DELETED. With a fault m is not to be used.
func ParseDeletion(version Version, b []byte, m *Deletion) Fault {
	if version > LastVersion {
		return NoSuchVersion
	}
	c := cursor{b: b, wide: version == 0}
	*m = Deletion{CallID: c.string(), FromTag: c.string(), ToTag: c.string(), HasHID: version >= hidVersion}
	if m.HasHID {
		m.HID = c.number()
	}
	return named(&c, m.CallID)
}

// named judges a message that must name a call.
func named(c *cursor, callID []byte) Fault {
	fault := c.end()
	if fault == NoFault && len(callID) == 0 {
		return NoCallID
	}
	return fault
}

// Append appends the message as packets of a version carry it. With a fault dst comes back as it was.
func (m *Deletion) Append(dst []byte, version Version) ([]byte, Fault) {
	if version > LastVersion {
		return dst, NoSuchVersion
	}
	if fault := fits(m.CallID, m.FromTag, m.ToTag); fault != NoFault {
		return dst, fault
	}
	wide := version == 0
	dst = appendString(dst, wide, m.CallID)
	dst = appendString(dst, wide, m.FromTag)
	dst = appendString(dst, wide, m.ToTag)
	if version >= hidVersion {
		dst = appendNumber(dst, m.HID)
	}
	return dst, NoFault
}

// CSeqChange is the message CSEQ: the proxy has generated a request towards one leg.
type CSeqChange struct {
	CallID   []byte
	OtherTag []byte // of the other leg
	Tag      []byte // of the leg whose counter changed
	HID      uint32 // from version 4 on
	HasHID   bool
	Number   uint32 // last CSeq that the proxy generated towards that leg
}

// ParseCSeq reads a message CSEQ of generation 2. With a fault m is not to be used.
func ParseCSeq(version Version, b []byte, m *CSeqChange) Fault {
	if version == 0 || version > LastVersion {
		return NoSuchVersion
	}
	c := cursor{b: b}
	*m = CSeqChange{CallID: c.string(), OtherTag: c.string(), Tag: c.string(), HasHID: version >= hidVersion}
	if m.HasHID {
		m.HID = c.number()
	}
	m.Number = c.number()
	return named(&c, m.CallID)
}

// Append appends the message as packets of a version carry it. With a fault dst comes back as it was.
func (m *CSeqChange) Append(dst []byte, version Version) ([]byte, Fault) {
	if version == 0 || version > LastVersion {
		return dst, NoSuchVersion
	}
	if fault := fits(m.CallID, m.OtherTag, m.Tag); fault != NoFault {
		return dst, fault
	}
	dst = appendString(dst, false, m.CallID)
	dst = appendString(dst, false, m.OtherTag)
	dst = appendString(dst, false, m.Tag)
	if version >= hidVersion {
		dst = appendNumber(dst, m.HID)
	}
	return appendNumber(dst, m.Number), NoFault
}

// ValueChange is the message VALUE: a value of a dialog was written, or removed (Type NoValue).
type ValueChange struct {
	CallID []byte
	HID    uint32
	Name   []byte // without escapes, as Text is
	Type   ValueType
	Text   []byte // if Type is Text
	Int    int32  // if Type is Integer
}

// ParseValue reads a message VALUE, which versions 4 and 5 have. With a fault m is not to be used.
func ParseValue(version Version, b []byte, m *ValueChange) Fault {
	if version < hidVersion || version > LastVersion {
		return NoSuchVersion
	}
	c := cursor{b: b}
	*m = ValueChange{CallID: c.string(), HID: c.number(), Name: c.string()}
	kind := c.number()
	if c.fault != NoFault {
		return c.fault
	}
	switch kind {
	case uint32(NoValue):
	case uint32(Text):
		m.Text = c.string()
	case uint32(Integer):
		m.Int = int32(c.number())
	default:
		return BadValueType
	}
	m.Type = ValueType(kind)
	fault := named(&c, m.CallID)
	if fault == NoFault && len(m.Name) == 0 {
		return BadName
	}
	return fault
}

// Append appends the message as packets of a version carry it. With a fault dst comes back as it was.
func (m *ValueChange) Append(dst []byte, version Version) ([]byte, Fault) {
	switch {
	case version < hidVersion || version > LastVersion:
		return dst, NoSuchVersion
	case m.Type > Integer:
		return dst, BadValueType
	}
	if fault := fits(m.CallID, m.Name, m.Text); fault != NoFault {
		return dst, fault
	}
	dst = appendString(dst, false, m.CallID)
	dst = appendNumber(dst, m.HID)
	dst = appendString(dst, false, m.Name)
	dst = appendNumber(dst, uint32(m.Type))
	switch m.Type {
	case Text:
		dst = appendString(dst, false, m.Text)
	case Integer:
		dst = appendNumber(dst, uint32(m.Int))
	}
	return dst, NoFault
}

// ParseTag reads the message of 2.4 that a sharing tag is active at the sender, and returns the tag.
func ParseTag(b []byte) ([]byte, Fault) {
	c := cursor{b: b}
	tag := c.string()
	fault := c.end()
	if fault == NoFault && len(tag) == 0 {
		fault = BadName
	}
	return tag, fault
}

// AppendTag appends the message of 2.4 that a sharing tag is active. With a fault dst comes back as it was.
func AppendTag(dst, tag []byte) ([]byte, Fault) {
	if fault := fits(tag); fault != NoFault {
		return dst, fault
	}
	return appendString(dst, false, tag), NoFault
}

// ProfileCount is one row of a packet of capability dialog-prof-repl: how many dialogs of the sending node are in a
// profile. It has the same form in every version.
type ProfileCount struct {
	Name     []byte // without "/b"
	HasValue bool
	Value    []byte
	Count    int32
}

// Append appends the row to dst. With a fault dst comes back as it was.
func (p *ProfileCount) Append(dst []byte) ([]byte, Fault) {
	if fault := fits(p.Name, p.Value); fault != NoFault {
		return dst, fault
	}
	dst = appendString(dst, false, p.Name)
	if p.HasValue {
		dst = appendNumber(dst, 1)
		dst = appendString(dst, false, p.Value)
	} else {
		dst = appendNumber(dst, 0)
	}
	return appendNumber(dst, uint32(p.Count)), NoFault
}

// ProfileCounts walks the rows of a packet of capability dialog-prof-repl, from its fields to the trailer.
//
//	w := layout.ProfileCountsOf(body)
//	for w.Next() { use w.Row }
//	fault := w.Fault()
type ProfileCounts struct {
	Row ProfileCount // what Next found; its bytes are views
	c   cursor
}

// ProfileCountsOf starts a walk over the rows in b.
func ProfileCountsOf(b []byte) ProfileCounts { return ProfileCounts{c: cursor{b: b}} }

// Next goes to the next row and tells whether there is one.
func (w *ProfileCounts) Next() bool {
	w.Row = ProfileCount{}
	c := &w.c
	if c.fault != NoFault || c.off == len(c.b) {
		return false
	}
	row := ProfileCount{Name: c.string()}
	has := c.number()
	if c.fault == NoFault && has > 1 {
		c.fault = BadCount
	}
	if has == 1 {
		row.HasValue, row.Value = true, c.string()
	}
	row.Count = int32(c.number())
	if c.fault == NoFault && len(row.Name) == 0 {
		c.fault = BadName
	}
	if c.fault != NoFault {
		return false
	}
	w.Row = row
	return true
}

// Fault returns why Next found no more: NoFault at the end.
func (w *ProfileCounts) Fault() Fault { return w.c.fault }

// Same tells whether two rows count the same profile and value.
func (p *ProfileCount) Same(q *ProfileCount) bool {
	return p.HasValue == q.HasValue && bytes.Equal(p.Name, q.Name) && bytes.Equal(p.Value, q.Value)
}
