package dialog

import (
	"encoding/binary"

	"binrepd/userspace/state/store"
)

// An entry is the store's header, the header of this package, little endian, and behind it the packed dialog, or of a
// tombstone the packed key.
const (
	atState     = store.HeaderSize // u8; Ended in a tombstone
	atStart     = 12               // u32: Unix seconds of the answer; of a tombstone 0 if unknown
	atUpdated   = 16               // u32: Unix seconds of the last change; of a tombstone of the end
	atBodySize  = 20               // u16
	atKeySize   = 22               // u16
	atOrigin    = 24               // u16
	atPast      = 28               // 3 x u16: hashes of overtaken contents, latest first; the 2 bytes before are unused
	entryHeader = atPast + 2*pastContents
)

// MaxBody is the size in bytes of the largest packed dialog that the table takes. It is a little more than what fits a
// UDP datagram.
const MaxBody = store.MaxEntry - entryHeader

// entry is a view of an entry of the store.
type entry []byte

func (e entry) next() store.Ref { return store.Entry(e).Next() }
func (e entry) start() uint32   { return binary.LittleEndian.Uint32(e[atStart:]) }
func (e entry) updated() uint32 { return binary.LittleEndian.Uint32(e[atUpdated:]) }
func (e entry) bodySize() int   { return int(binary.LittleEndian.Uint16(e[atBodySize:])) }
func (e entry) keySize() int    { return int(binary.LittleEndian.Uint16(e[atKeySize:])) }
func (e entry) origin() uint16  { return binary.LittleEndian.Uint16(e[atOrigin:]) }
func (e entry) state() State    { return State(e[atState]) }

// size is the size of headers and body in bytes.
func (e entry) size() int { return entryHeader + e.bodySize() }

func (e entry) body() Packed {
	end := e.size()
	return Packed(e[entryHeader:end:end])
}

func (e entry) key() Packed {
	end := entryHeader + e.keySize()
	return Packed(e[entryHeader:end:end])
}

func (e entry) past() (p past) {
	for i := range p {
		p[i] = binary.LittleEndian.Uint16(e[atPast+2*i:])
	}
	return p
}

func (e entry) setPast(p past) {
	for i, hash := range p {
		binary.LittleEndian.PutUint16(e[atPast+2*i:], hash)
	}
}

// fill writes everything but the store's header. No content is overtaken yet.
func (e entry) fill(start, now uint32, origin uint16, state State, body Packed, keySize int) {
	e[atState] = byte(state)
	binary.LittleEndian.PutUint32(e[atStart:], start)
	binary.LittleEndian.PutUint32(e[atUpdated:], now)
	binary.LittleEndian.PutUint16(e[atBodySize:], uint16(len(body)))
	binary.LittleEndian.PutUint16(e[atKeySize:], uint16(keySize))
	binary.LittleEndian.PutUint16(e[atOrigin:], origin)
	e.setPast(past{})
	copy(e[entryHeader:], body)
}

// View is one entry of the table. It is valid only inside the function to which it was given.
type View struct{ e entry }

// Body returns the packed dialog; of a tombstone the packed key.
func (v *View) Body() Packed { return v.e.body() }

// Key returns the packed key.
func (v *View) Key() Packed { return v.e.key() }

// State returns the state; of a tombstone it is Ended.
func (v *View) State() State { return v.e.state() }

// Start returns the Unix seconds of the answer, 0 before it. Of a tombstone it is 0 if unknown.
func (v *View) Start() uint32 { return v.e.start() }

// Timeout returns the Unix seconds at which the dialog expires; 0 for a tombstone.
func (v *View) Timeout() uint32 {
	if v.Tombstone() {
		return 0
	}
	body := v.e.body()
	return binary.LittleEndian.Uint32(body[len(body)-timeoutFrom:])
}

// Updated returns the Unix seconds of the last change; of a tombstone, of the dialog's end.
func (v *View) Updated() uint32 { return v.e.updated() }

// Origin returns Event.Origin of the last change.
func (v *View) Origin() uint16 { return v.e.origin() }

// Tombstone reports whether the entry is only the memory of a dialog that ended.
func (v *View) Tombstone() bool { return v.e.state() == Ended }
