package bin2

import (
	"encoding/binary"
	"math/bits"
)

// Sizes of a packet in bytes.
const (
	// MinSize is the size of the shortest packet that a receiver looks at: a header, a name of one byte, a type.
	MinSize = 17
	// MaxSize is the size of the longest packet that a receiver accepts: the read buffer of OpenSIPS.
	MaxSize = 65535
	// MaxSent is the size of the longest packet that every release accepts: 4.0 keeps 20 bytes of its buffer free.
	MaxSent = MaxSize - 20
)

const (
	marker        = "P4CK"
	lengthOffset  = 4
	versionOffset = 8
	nameOffset    = 12 // of the name itself; its length is the two bytes before
	typeSize      = 4
	trailerSize   = 12
)

// Next looks at the beginning of what was read from a stream and returns the length of the first packet if all of
// it is in buf, or 0 if more bytes are needed. An error, a Fault, means that buf doesn't begin with a packet: the
// connection is of no use any more. A wrong marker is found with the first byte, a wrong length with the eighth.
func Next(buf []byte) (n int, err error) {
	if head := min(len(buf), len(marker)); string(buf[:head]) != marker[:head] {
		return 0, BadMarker
	}
	if len(buf) < versionOffset {
		return 0, nil
	}
	length := binary.LittleEndian.Uint32(buf[lengthOffset:])
	if length < MinSize || length > MaxSize {
		if swapped := bits.ReverseBytes32(length); swapped >= MinSize && swapped <= MaxSize {
			return 0, BigEndian
		}
		return 0, BadLength
	}
	if uint64(len(buf)) < uint64(length) {
		return 0, nil
	}
	return int(length), nil
}

// Wanted returns how many bytes the packet at the beginning of buf has in all, or 0 if buf is too short to tell. It
// is for callers that size a buffer; buf must be one for which Next returned no error.
func Wanted(buf []byte) int {
	if len(buf) < versionOffset {
		return 0
	}
	return int(binary.LittleEndian.Uint32(buf[lengthOffset:]))
}
