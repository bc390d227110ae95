package dialog

import (
	"encoding/binary"

	"binrepd/dialog/layout"
	"binrepd/userspace/state/store"
)

// An entry is the store's header, the header of this package, little endian, and behind it the packed dialog. A tombstone
// has what a deletion in its layout says: the packed key, and h_id where the layout names dialogs by it. A message that
// waits for its dialog is an entry, too (waiting.go).
const (
	atState     = store.HeaderSize // u8; Ended in a tombstone, 0 in a message that waits
	atStart     = 12               // u32: Unix seconds of the answer; of a tombstone 0 if unknown
	atUpdated   = 16               // u32: Unix seconds of the last change; of a tombstone of the end
	atBodySize  = 20               // u16
	atKeySize   = 22               // u16
	atOrigin    = 24               // u16
	atLayout    = 26               // u8: layout.ID
	atRun       = 27               // u8: Table.run when a live event last told of the dialog, 0: none did; Kind of a message that waits
	atMoment    = 28               // u32, and what follows: see mark
	atPeer      = 32               // 12 bits for each of two numbers
	entryHeader = 35
)

// MaxBody is the size in bytes of the largest packed dialog that the table takes. It is a little more than what fits a
// UDP datagram.
const MaxBody = store.MaxEntry - entryHeader

// entry is a view of an entry of the store.
type entry []byte

func (e entry) next() store.Ref   { return store.Entry(e).Next() }
func (e entry) start() uint32     { return binary.LittleEndian.Uint32(e[atStart:]) }
func (e entry) updated() uint32   { return binary.LittleEndian.Uint32(e[atUpdated:]) }
func (e entry) bodySize() int     { return int(binary.LittleEndian.Uint16(e[atBodySize:])) }
func (e entry) keySize() int      { return int(binary.LittleEndian.Uint16(e[atKeySize:])) }
func (e entry) origin() uint16    { return binary.LittleEndian.Uint16(e[atOrigin:]) }
func (e entry) state() State      { return State(e[atState]) }
func (e entry) layout() layout.ID { return layout.ID(e[atLayout]) }
func (e entry) run() uint8        { return e[atRun] }

// size is the size of headers and body in bytes.
func (e entry) size() int { return entryHeader + e.bodySize() }

func (e entry) body() Packed {
	end := e.size()
	return Packed(e[entryHeader:end:end])
}

func (e entry) key() key {
	end := entryHeader + e.keySize()
	return key{e[entryHeader:end:end], wide(e.layout())}
}

// hid returns h_id, of an entry whose layout names dialogs by it. It lies behind two more strings, in a tombstone right
// behind the key.
func (e entry) hid() uint32 {
	off := entryHeader + e.keySize()
	if e.state() != Ended {
		off += 2 + int(binary.LittleEndian.Uint16(e[off:]))
		off += 2 + int(binary.LittleEndian.Uint16(e[off:]))
	}
	return binary.LittleEndian.Uint32(e[off:])
}

// anyHID returns h_id of a dialog in any layout. It lies behind the two strings that follow the key.
func (e entry) anyHID() uint32 {
	if !wide(e.layout()) {
		return e.hid()
	}
	off := entryHeader + e.keySize()
	off += 4 + int(binary.LittleEndian.Uint32(e[off:]))
	off += 4 + int(binary.LittleEndian.Uint32(e[off:]))
	return binary.LittleEndian.Uint32(e[off:])
}

// fill writes everything but the store's header. The mark is zero.
func (e entry) fill(start, now uint32, origin uint16, state State, id layout.ID, body []byte, keySize int) {
	e[atState] = byte(state)
	binary.LittleEndian.PutUint32(e[atStart:], start)
	binary.LittleEndian.PutUint32(e[atUpdated:], now)
	binary.LittleEndian.PutUint16(e[atBodySize:], uint16(len(body)))
	binary.LittleEndian.PutUint16(e[atKeySize:], uint16(keySize))
	binary.LittleEndian.PutUint16(e[atOrigin:], origin)
	e[atLayout], e[atRun] = byte(id), 0
	e.setMark(mark{})
	copy(e[entryHeader:], body)
}

// View is one entry of the table. It is valid only inside the function to which it was given.
type View struct{ e entry }

// AppendCopy appends a copy of the entry to dst, for ViewOf.
func (v *View) AppendCopy(dst []byte) []byte { return append(dst, v.e[:v.e.size()]...) }

// ViewOf returns a view of what AppendCopy appended. It is valid as long as that isn't changed, and needs no lock.
func ViewOf(copied []byte) View { return View{entry(copied)} }

// Body returns the packed dialog in its layout; of a tombstone what a deletion says.
func (v *View) Body() Packed { return v.e.body() }

// Layout returns the layout of the body.
func (v *View) Layout() layout.ID { return max(v.e.layout(), layout.UDP) }

// Key returns the packed key, as it lies in the layout.
func (v *View) Key() Packed { return v.e.key().b }

// Names returns Call-ID, from-tag and to-tag.
func (v *View) Names() (callID, from, to []byte) {
	callID, k := v.e.key().part()
	from, k = k.part()
	to, _ = k.part()
	return callID, from, to
}

// AppendName appends what a deletion of the dialog says in its layout to dst.
func (v *View) AppendName(dst []byte) []byte {
	dst = append(dst, v.Key()...)
	if hasHID(v.e.layout()) {
		dst = binary.LittleEndian.AppendUint32(dst, v.e.hid())
	}
	return dst
}

// State returns the state; of a tombstone it is Ended.
func (v *View) State() State { return v.e.state() }

// Start returns the Unix seconds of the answer, 0 before it. Of a tombstone it is 0 if unknown.
func (v *View) Start() uint32 { return v.e.start() }

// Timeout returns the Unix seconds at which the dialog expires; 0 for a tombstone.
func (v *View) Timeout() uint32 {
	if v.Tombstone() {
		return 0
	}
	return v.e.timeout()
}

func (e entry) timeout() uint32 {
	body := e.body()
	if wide(e.layout()) {
		return binary.LittleEndian.Uint32(body[len(body)-timeoutFrom:])
	}
	var v layout.View
	if layout.Parse(e.layout(), body, &v) != layout.NoFault {
		return 0
	}
	return v.Number(layout.Timeout)
}

// Updated returns the Unix seconds of the last change; of a tombstone, of the dialog's end.
func (v *View) Updated() uint32 { return v.e.updated() }

// Origin returns Event.Origin of the last change.
func (v *View) Origin() uint16 { return v.e.origin() }

// Tombstone reports whether the entry is only the memory of a dialog that ended.
func (v *View) Tombstone() bool { return v.e.state() == Ended }
