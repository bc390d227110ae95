package layout

import (
	"bytes"
	"encoding/binary"
)

// MaxBody is the largest body, in bytes: what fits a packet of any generation.
const MaxBody = 65535

// View gives access to the fields of a dialog in any layout. It holds no copy: it lives as long as the bytes that
// Parse was given. The zero value is ready to be parsed into, and a View is made to be used again.
type View struct {
	body   []byte
	fields FieldSet
	at     [NumFields]uint16 // where the field begins: its number, or the length in front of its string
	width  uint8
	id     ID
}

// Parse finds the fields of body, which must be exactly one dialog in the layout id. Nothing of what v held before
// remains. With a fault v is not to be used. The first thing wrong from left to right decides the fault; what the
// fields say comes last.
func Parse(id ID, body []byte, v *View) Fault {
	n, fault := parse(id, body, v)
	switch {
	case fault != NoFault:
		return fault
	case n != len(body):
		return Trailing
	}
	return v.check()
}

// ParsePrefix is Parse for bytes in which more may follow the dialog. It returns the size of the dialog. The sync
// messages of 2.4.0 to 2.4.6 and 3.0.0 don't tell the size of a dialog.
func ParsePrefix(id ID, b []byte, v *View) (int, Fault) {
	b = b[:min(len(b), MaxBody)]
	n, fault := parse(id, b, v)
	if fault != NoFault {
		return 0, fault
	}
	v.body = b[:n:n]
	return n, v.check()
}

// check judges what the fields say.
func (v *View) check() Fault {
	switch state := v.Number(State); {
	case state < 1 || state > 5:
		return BadState
	case v.at[FromTag] == uint16(v.width):
		return NoCallID
	}
	return NoFault
}

// parse walks one dialog at the front of b and returns its size.
func parse(id ID, b []byte, v *View) (int, Fault) {
	if !id.Valid() {
		return 0, NoLayout
	}
	if len(b) > MaxBody {
		return 0, TooLong
	}
	k := &kinds[id]
	*v = View{body: b, fields: k.fields, width: k.width, id: id}
	if k.width == 4 {
		return v.parseWide(b)
	}
	return v.parseNarrow(b, k)
}

// parseWide walks a dialog of generation 1, whose lengths have 4 bytes.
func (v *View) parseWide(b []byte) (int, Fault) {
	off, fault := wideStrings(b, 0, v.at[:endFirstStrings])
	if fault != NoFault {
		return 0, fault
	}
	if len(b)-off < 12 {
		return 0, CutShort
	}
	off = numbers(off, v.at[endFirstStrings:endFirstNumbers])
	if off, fault = wideStrings(b, off, v.at[endFirstNumbers:CallerSDP]); fault != NoFault {
		return 0, fault
	}
	if off, fault = wideStrings(b, off, v.at[Values:endStrings]); fault != NoFault {
		return 0, fault
	}
	if len(b)-off < 5*4 {
		return 0, CutShort
	}
	v.at[UserFlags] = uint16(off)
	v.at[Flags] = uint16(off + 4)
	return numbers(off+8, v.at[Timeout:endNumbers]), NoFault
}

// parseNarrow walks a dialog of generation 2, whose lengths have 2 bytes.
func (v *View) parseNarrow(b []byte, k *kind) (int, Fault) {
	off, fault := narrowStrings(b, 0, v.at[:endFirstStrings])
	if fault != NoFault {
		return 0, fault
	}
	if len(b)-off < 12 {
		return 0, CutShort
	}
	off = numbers(off, v.at[endFirstStrings:endFirstNumbers])
	switch k.fields & fourSDP {
	case fourSDP:
		off, fault = narrowStrings(b, off, v.at[endFirstNumbers:endStrings])
	case twoSDP:
		if off, fault = narrowStrings(b, off, v.at[endFirstNumbers:CallerSentSDP]); fault != NoFault {
			return 0, fault
		}
		if off, fault = narrowStrings(b, off, v.at[CalleeSDP:CalleeSentSDP]); fault != NoFault {
			return 0, fault
		}
		off, fault = narrowStrings(b, off, v.at[Values:endStrings])
	default:
		if off, fault = narrowStrings(b, off, v.at[endFirstNumbers:CallerSDP]); fault != NoFault {
			return 0, fault
		}
		off, fault = narrowStrings(b, off, v.at[Values:endStrings])
	}
	if fault != NoFault {
		return 0, fault
	}
	pings := k.fields.Has(OptionsPing)
	switch rest := len(b) - off; {
	case rest < 6*4, pings && rest < 8*4:
		return 0, CutShort
	case pings:
		off = numbers(off, v.at[endStrings:endNumbers])
	default:
		off = numbers(off, v.at[endStrings:OptionsPing])
		off = numbers(off, v.at[Timeout:endNumbers])
	}
	if k.fields.Has(OnAnswerRoute) {
		return narrowStrings(b, off, v.at[endNumbers:])
	}
	return off, NoFault
}

// numbers notes the offsets of a run of numbers from off on and returns the offset behind it.
func numbers(off int, at []uint16) int {
	for i := range at {
		at[i] = uint16(off)
		off += 4
	}
	return off
}

// narrowStrings walks a run of strings from off on, notes their offsets, and returns the offset behind it.
func narrowStrings(b []byte, off int, at []uint16) (int, Fault) {
	for i := range at {
		if len(b)-off < 2 {
			return 0, CutShort
		}
		at[i] = uint16(off)
		off += 2 + int(binary.LittleEndian.Uint16(b[off:]))
		if off > len(b) {
			return 0, PastEnd
		}
	}
	return off, NoFault
}

// wideStrings is narrowStrings for lengths of 4 bytes.
func wideStrings(b []byte, off int, at []uint16) (int, Fault) {
	for i := range at {
		if len(b)-off < 4 {
			return 0, CutShort
		}
		at[i] = uint16(off)
		size := binary.LittleEndian.Uint32(b[off:])
		off += 4
		if uint64(size) > uint64(len(b)-off) {
			if int32(size) < 0 {
				return 0, NegativeLength
			}
			return 0, PastEnd
		}
		off += int(size)
	}
	return off, NoFault
}

// Layout returns the layout that the view was parsed in.
func (v *View) Layout() ID { return v.id }

// Body returns the whole dialog as it lies in bytes.
func (v *View) Body() []byte { return v.body }

// Fields returns the fields that the dialog has.
func (v *View) Fields() FieldSet { return v.fields }

// Has tells whether the layout has the field, be it empty or not.
func (v *View) Has(f Field) bool { return v.fields.Has(f) }

// Offset returns where the field begins in Body: the number itself, or the length in front of a string. A field that
// the layout doesn't have returns -1.
func (v *View) Offset(f Field) int {
	if !v.fields.Has(f) {
		return -1
	}
	return int(v.at[f])
}

// Bytes returns the content of a string field, nil if the layout doesn't have it or if it is a number.
func (v *View) Bytes(f Field) []byte {
	if !(v.fields &^ numberFields).Has(f) {
		return nil
	}
	off := int(v.at[f])
	if v.width == 2 {
		end := off + 2 + int(binary.LittleEndian.Uint16(v.body[off:]))
		return v.body[off+2 : end : end]
	}
	end := off + 4 + int(binary.LittleEndian.Uint32(v.body[off:]))
	return v.body[off+4 : end : end]
}

// Number returns the value of a number field, 0 if the layout doesn't have it or if it is a string.
func (v *View) Number(f Field) uint32 {
	if !(v.fields & numberFields).Has(f) {
		return 0
	}
	return binary.LittleEndian.Uint32(v.body[v.at[f]:])
}

// Key returns the first three strings as they lie in the body, Call-ID, from-tag and to-tag, each behind its length.
func (v *View) Key() []byte { return v.body[:v.at[FromURI]:v.at[FromURI]] }

// Leg tells for which side of the call something is.
type Leg uint8

const (
	NoLeg Leg = iota
	Caller
	Callee
)

// LegOf tells which leg has the tag. Where both have it, or none has, NoLeg.
func (v *View) LegOf(tag []byte) Leg {
	caller, callee := bytes.Equal(tag, v.Bytes(FromTag)), bytes.Equal(tag, v.Bytes(ToTag))
	switch {
	case caller == callee:
		return NoLeg
	case caller:
		return Caller
	}
	return Callee
}
