package layout

import (
	"bytes"
	"encoding/binary"
)

// SetNumber writes a number field into the body, in place. It tells whether the layout has the field.
func (v *View) SetNumber(f Field, n uint32) bool {
	if !f.IsNumber() || !v.fields.Has(f) {
		return false
	}
	binary.LittleEndian.PutUint32(v.body[v.at[f]:], n)
	return true
}

// StateOffset returns where in the body the state lies. The start lies 4 bytes before it, h_id 8 bytes.
func (v *View) StateOffset() int { return int(v.at[State]) }

// TimeoutOffset returns where in the body the timeout lies.
func (v *View) TimeoutOffset() int { return int(v.at[Timeout]) }

// SameContent tells whether the dialog and other, which must be in the same layout, differ in nothing but the timeout.
// The timeout jitters by a second or two from packet to packet of an unchanged dialog. other may be any bytes.
func (v *View) SameContent(other []byte) bool {
	t := int(v.at[Timeout])
	// Once everything in front of the timeout is equal, the timeout of other lies at the same place.
	return len(other) == len(v.body) && bytes.Equal(other[:t], v.body[:t]) && bytes.Equal(other[t+4:], v.body[t+4:])
}

// Changed is what became of a change to a dialog.
type Changed uint8

const (
	Same   Changed = iota // the dialog said so before
	Done                  // the dialog has changed
	Stale                 // the dialog has something newer
	NotLeg                // no leg of the dialog, or either, has the tag
)

func (c Changed) String() string { return [...]string{"same", "done", "stale", "not_leg"}[c&3] }

// ApplyCSeq writes the number of m into the body, in place. It doesn't look at the Call-ID and h_id of m. Numbers
// only grow; a re-INVITE makes proxies send a 0 when they have generated nothing, which changes nothing.
func (v *View) ApplyCSeq(m *CSeqChange) Changed {
	f := CallerGenCSeq
	switch v.LegOf(m.Tag) {
	case NoLeg:
		return NotLeg
	case Callee:
		f = CalleeGenCSeq
	}
	switch is := v.Number(f); {
	case m.Number == is:
		return Same
	case m.Number < is:
		return Stale
	}
	v.SetNumber(f, m.Number)
	return Done
}

// AppendWith appends the body to dst, with the string field f replaced by the parts of content, one behind the other.
// With a fault dst comes back as it was.
func (v *View) AppendWith(dst []byte, f Field, content ...[]byte) ([]byte, Fault) {
	if f.IsNumber() || !v.fields.Has(f) {
		return dst, NoLayout
	}
	size := 0
	for _, part := range content {
		size += len(part)
	}
	old := v.Bytes(f)
	if size > MaxBody || len(v.body)-len(old)+size > MaxBody {
		return dst, TooLong
	}
	off := int(v.at[f])
	dst = append(dst, v.body[:off]...)
	if v.width == 4 {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(size))
	} else {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(size))
	}
	for _, part := range content {
		dst = append(dst, part...)
	}
	return append(dst, v.body[off+int(v.width)+len(old):]...), NoFault
}

// ApplyValue appends the body with the value of m set, replaced or removed to dst. It doesn't look at the Call-ID and
// h_id of m. A new value goes to the front of the list, a replaced one keeps its place, as in OpenSIPS. If nothing
// changes, or with a fault, dst comes back as it was.
func (v *View) ApplyValue(dst []byte, m *ValueChange) (out []byte, changed Changed, fault Fault) {
	typed := v.id.Typed()
	list := v.Bytes(Values)
	place := -1 // of the pair that is replaced
	gone := 0   // bytes of pairs with that name
	same := false
	p := PairsOf(list, typed)
	for p.Next() {
		if !p.Name.Equal(m.Name) {
			continue
		}
		if place < 0 {
			place, same = p.from, m.isValueOf(&p, typed)
		} else {
			same = false // one too many
		}
		gone += p.next - p.from
	}
	switch {
	case p.Err() != nil:
		return dst, Same, BadList
	case m.Type > Integer:
		return dst, Same, BadValueType
	case len(m.Name) == 0:
		return dst, Same, BadName
	case same, place < 0 && m.Type == NoValue:
		return dst, Same, NoFault
	}
	added := m.pairSize(typed)
	if size := len(list) - gone + added; size > MaxBody || len(v.body)-gone+added > MaxBody {
		return dst, Same, TooLong
	}
	place = max(place, 0)
	off := int(v.at[Values])
	dst = append(dst, v.body[:off]...)
	if v.width == 4 {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(list)-gone+added))
	} else {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(list)-gone+added))
	}
	dst = append(dst, list[:place]...)
	dst = m.appendPair(dst, typed)
	for p = PairsOf(list, typed); p.Next(); {
		if p.from >= place && !p.Name.Equal(m.Name) {
			dst = append(dst, p.Raw()...)
		}
	}
	return append(dst, v.body[off+int(v.width)+len(list):]...), Done, NoFault
}

// isValueOf tells whether the pair has the value already.
func (m *ValueChange) isValueOf(p *Pairs, typed bool) bool {
	var digits [11]byte
	switch {
	case m.Type == Text:
		return p.Type == Text && p.Value.Equal(m.Text)
	case m.Type != Integer:
		return false
	case typed && p.Type != Integer:
		return false
	}
	return p.Value.Equal(appendInt(digits[:0], m.Int))
}

func (m *ValueChange) appendPair(dst []byte, typed bool) []byte {
	switch m.Type {
	case Text:
		return AppendPair(dst, typed, m.Name, m.Text)
	case Integer:
		return AppendIntPair(dst, typed, m.Name, m.Int)
	}
	return dst
}

// pairSize returns how many bytes appendPair appends.
func (m *ValueChange) pairSize(typed bool) int {
	var digits [11]byte
	size := escapedSize(m.Name) + len("#|")
	switch m.Type {
	case NoValue:
		return 0
	case Text:
		size += escapedSize(m.Text)
	case Integer:
		size += len(appendInt(digits[:0], m.Int))
	}
	if typed {
		size += len("1#")
	}
	return size
}
