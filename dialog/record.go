package dialog

import "encoding/binary"

// ref names a record: its offset in the arena in units of 16 bytes. 0 is none, since a chunk begins with deadlines.
type ref uint32

const refUnit = 16

// A record is a header, little endian, and behind it the packed dialog, or of a tombstone the packed key.
const (
	atNext       = 0  // u32 ref: next record of the same Call-ID
	atTag        = 4  // u32: index hash of the Call-ID
	atStart      = 8  // u32: Unix seconds of the answer; of a tombstone 0 if unknown
	atUpdated    = 12 // u32: Unix seconds of the last change; of a tombstone of the end
	atBodySize   = 16 // u16
	atKeySize    = 18 // u16
	atSlot       = 20 // u16: number of the slot in its chunk
	atOrigin     = 22 // u16
	atState      = 24 // u8; Ended in a tombstone
	atClass      = 25 // u8: size class of the slot
	atPast       = 28 // 3 x u16: hashes of overtaken contents, latest first
	recordHeader = atPast + 2*pastContents
)

// MaxBody is the size in bytes of the largest packed dialog that the table takes. It is a little more than what
// fits a UDP datagram.
const MaxBody = maxSlot - recordHeader

// record is a view of a record, with some or all of what is behind it.
type record []byte

func (r record) next() ref       { return ref(binary.LittleEndian.Uint32(r[atNext:])) }
func (r record) setNext(to ref)  { binary.LittleEndian.PutUint32(r[atNext:], uint32(to)) }
func (r record) tag() uint32     { return binary.LittleEndian.Uint32(r[atTag:]) }
func (r record) start() uint32   { return binary.LittleEndian.Uint32(r[atStart:]) }
func (r record) updated() uint32 { return binary.LittleEndian.Uint32(r[atUpdated:]) }
func (r record) bodySize() int   { return int(binary.LittleEndian.Uint16(r[atBodySize:])) }
func (r record) keySize() int    { return int(binary.LittleEndian.Uint16(r[atKeySize:])) }
func (r record) slot() uint16    { return binary.LittleEndian.Uint16(r[atSlot:]) }
func (r record) origin() uint16  { return binary.LittleEndian.Uint16(r[atOrigin:]) }
func (r record) state() State    { return State(r[atState]) }
func (r record) class() uint8    { return r[atClass] }

// size is that of header and body.
func (r record) size() int { return recordHeader + r.bodySize() }

func (r record) body() Packed {
	end := r.size()
	return Packed(r[recordHeader:end:end])
}

func (r record) key() Packed {
	end := recordHeader + r.keySize()
	return Packed(r[recordHeader:end:end])
}

func (r record) past() (p past) {
	for i := range p {
		p[i] = binary.LittleEndian.Uint16(r[atPast+2*i:])
	}
	return p
}

func (r record) setPast(p past) {
	for i, hash := range p {
		binary.LittleEndian.PutUint16(r[atPast+2*i:], hash)
	}
}

// fill writes all of the header but next, slot and class, and the body. No content is overtaken yet.
func (r record) fill(tag, start, now uint32, origin uint16, state State, body Packed, keySize int) {
	binary.LittleEndian.PutUint32(r[atTag:], tag)
	binary.LittleEndian.PutUint32(r[atStart:], start)
	binary.LittleEndian.PutUint32(r[atUpdated:], now)
	binary.LittleEndian.PutUint16(r[atBodySize:], uint16(len(body)))
	binary.LittleEndian.PutUint16(r[atKeySize:], uint16(keySize))
	binary.LittleEndian.PutUint16(r[atOrigin:], origin)
	r[atState] = byte(state)
	r.setPast(past{})
	copy(r[recordHeader:], body)
}

// View is one entry of the table. It is valid only inside the function that it was given to.
type View struct{ rec record }

// Body returns the packed dialog; of a tombstone the packed key.
func (v *View) Body() Packed { return v.rec.body() }

// Key returns the packed key.
func (v *View) Key() Packed { return v.rec.key() }

// State returns the state; of a tombstone it is Ended.
func (v *View) State() State { return v.rec.state() }

// Start returns the Unix seconds of the answer, 0 before it. Of a tombstone it is 0 if unknown.
func (v *View) Start() uint32 { return v.rec.start() }

// Timeout returns the Unix seconds at which the dialog expires; 0 for a tombstone.
func (v *View) Timeout() uint32 {
	if v.Tombstone() {
		return 0
	}
	body := v.rec.body()
	return binary.LittleEndian.Uint32(body[len(body)-timeoutFrom:])
}

// Updated returns the Unix seconds of the last change; of a tombstone, of the dialog's end.
func (v *View) Updated() uint32 { return v.rec.updated() }

// Origin returns Event.Origin of the last change.
func (v *View) Origin() uint16 { return v.rec.origin() }

// Tombstone tells whether the entry is only the memory of a dialog that ended.
func (v *View) Tombstone() bool { return v.rec.state() == Ended }
