package dialog

import (
	"encoding/binary"

	"binrepd/dialog/layout"
)

// Packed is a dialog as one run of bytes: 25 fields in a fixed order, strings and numbers mixed.
//
//	string   4 bytes length, little endian, then so many bytes of any value
//	number   4 bytes, little endian
//
// The first three strings, Call-ID, from-tag and to-tag, are the key. A Packed that ends after them is a packed key.
// Fields and order are those of BIN's generation 1 from a little-endian sender, on purpose: one copy makes a received
// snapshot a stored one. The codec of another generation repacks.
type Packed []byte

// Field numbers the fields of a packed dialog in their order.
type Field uint8

const (
	CallID Field = iota
	FromTag
	ToTag
	FromURI
	ToURI
	HID   // number; dialog number inside the sender's hash bucket
	Start // number; Unix seconds
	StateField
	CallerSocket
	CalleeSocket
	CallerCSeq // of the last request sent towards the caller
	CalleeCSeq // of the last request sent towards the callee
	CallerRouteSet
	CalleeRouteSet
	CallerContact
	CalleeContact
	MangledFrom
	MangledTo
	Vars
	Profiles
	UserFlags // number
	Flags     // number
	Timeout   // number; Unix seconds
	CallerGenCSeq
	CalleeGenCSeq
	NumFields
)

// The number fields come in two runs. All other fields are strings.
const (
	keyFields    = 3              // strings: Call-ID, from-tag, to-tag
	firstNumbers = HID            // HID, Start, State
	lastNumbers  = UserFlags      // UserFlags to CalleeGenCSeq, the last 20 bytes
	tailSize     = 5 * 4          // bytes of that last run
	timeoutFrom  = tailSize - 2*4 // the timeout begins this many bytes before the end
	minSnapshot  = 17*4 + 8*4     // all strings empty
)

// Fault says why bytes are no packed dialog or key. The zero value means that they are.
type Fault uint8

const (
	NoFault        Fault = iota
	CutShort             // a length or a number lies past the end
	NegativeLength       // a length has its top bit set
	PastEnd              // a string reaches past the end
	Trailing             // bytes are left over
	NoCallID             // the Call-ID is empty
	BadState             // the state is not 1 to 5
)

// ParseSnapshot walks b, which must be exactly one packed dialog, and sets Kind, Key, Body, State, Start and Timeout of
// ev, the rest to zero. After a fault the caller must not use ev.
func ParseSnapshot(b []byte, kind Kind, ev *Event) Fault {
	keyLen, fault := skipStrings(b, 0, keyFields)
	if fault != NoFault {
		return fault
	}
	off, fault := skipStrings(b, keyLen, int(firstNumbers)-keyFields)
	if fault != NoFault {
		return fault
	}
	if len(b)-off < 12 {
		return CutShort
	}
	start := binary.LittleEndian.Uint32(b[off+4:])
	state := binary.LittleEndian.Uint32(b[off+8:])
	off += 12
	if off, fault = skipStrings(b, off, int(lastNumbers)-int(CallerSocket)); fault != NoFault {
		return fault
	}
	switch rest := len(b) - off; {
	case rest < tailSize:
		return CutShort
	case rest > tailSize:
		return Trailing
	}
	if state < uint32(Unconfirmed) || state > uint32(Ended) {
		return BadState
	}
	if binary.LittleEndian.Uint32(b) == 0 {
		return NoCallID
	}
	*ev = Event{
		Kind: kind, State: State(state), Layout: layout.UDP, Start: start,
		Timeout: binary.LittleEndian.Uint32(b[len(b)-timeoutFrom:]),
		Key:     b[:keyLen:keyLen], Body: b,
	}
	return NoFault
}

// ParseKey walks b, which must be exactly one packed key, and makes ev the deletion of that dialog.
func ParseKey(b []byte, ev *Event) Fault {
	off, fault := skipStrings(b, 0, keyFields)
	switch {
	case fault != NoFault:
		return fault
	case off != len(b):
		return Trailing
	case binary.LittleEndian.Uint32(b) == 0:
		return NoCallID
	}
	*ev = Event{Kind: Delete, Layout: layout.UDP, Key: b, Body: b}
	return NoFault
}

// skipStrings walks n strings from offset off and returns the offset behind them.
func skipStrings(b []byte, off, n int) (next int, fault Fault) {
	for range n {
		if len(b)-off < 4 {
			return 0, CutShort
		}
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

// isNumber reports whether the field is a number. The others are strings.
func (f Field) isNumber() bool {
	return f >= HID && f <= StateField || f >= UserFlags && f < NumFields
}

// Fields gives access to the single fields of a packed dialog. It is a view: it lives as long as the bytes.
type Fields struct {
	packed Packed
	at     [NumFields]uint32
}

// Fields finds the fields of p, which must be one that ParseSnapshot accepted.
func (p Packed) Fields() Fields {
	f := Fields{packed: p}
	off := uint32(0)
	for i := range NumFields {
		f.at[i] = off
		if !i.isNumber() {
			off += binary.LittleEndian.Uint32(p[off:])
		}
		off += 4
	}
	return f
}

// Bytes returns the content of a string field.
func (f *Fields) Bytes(i Field) []byte {
	off := f.at[i]
	return f.packed[off+4 : off+4+binary.LittleEndian.Uint32(f.packed[off:])]
}

// Number returns the value of a number field.
func (f *Fields) Number(i Field) uint32 {
	return binary.LittleEndian.Uint32(f.packed[f.at[i]:])
}

// Part returns the string at the front of a packed key, and what is behind it. It takes Call-ID, from-tag and to-tag in
// turn. p must be one that a parse accepted.
func (p Packed) Part() (s []byte, rest Packed) {
	end := 4 + binary.LittleEndian.Uint32(p)
	return p[4:end], p[end:]
}
