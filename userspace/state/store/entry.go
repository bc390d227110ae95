package store

import "encoding/binary"

// Ref names an entry: its offset in the arena in units of 16 bytes. 0 names none, because a chunk begins with
// deadlines.
type Ref uint32

const refUnit = 16

// The header of an entry, little endian. What is behind it belongs to the model.
const (
	atNext  = 0  // u32 Ref: the next entry of the chain, 0 for none
	atTag   = 4  // u32: hash of the key
	atSlot  = 8  // u16: number of the slot in its chunk
	atClass = 10 // u8: size class of the slot

	// HeaderSize is the number of bytes at the front of each entry that the store writes.
	HeaderSize = 11
)

// MaxEntry is the size in bytes of the largest entry, header included: 65,520.
const MaxEntry = maxSlot

// Entry is a view of an entry. It begins with the header and reaches to the end of the arena: the model knows where its
// own bytes end. It is valid until the entry is resized or removed, or the shard is unlocked.
type Entry []byte

// Next returns the next entry of the chain, 0 for none.
func (e Entry) Next() Ref { return Ref(binary.LittleEndian.Uint32(e[atNext:])) }

// Tag returns the hash of the key.
func (e Entry) Tag() uint32 { return binary.LittleEndian.Uint32(e[atTag:]) }

func (e Entry) setNext(to Ref)    { binary.LittleEndian.PutUint32(e[atNext:], uint32(to)) }
func (e Entry) setTag(tag uint32) { binary.LittleEndian.PutUint32(e[atTag:], tag) }
func (e Entry) slot() uint16      { return binary.LittleEndian.Uint16(e[atSlot:]) }
func (e Entry) class() uint8      { return e[atClass] }
