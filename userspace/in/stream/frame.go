package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The frame of a packet of generation 2: marker "P4CK", then the length of the whole packet as a little-endian
// uint32, then version, capability and body. Source: spec bin-tcp, 1.1 and 1.4.
const (
	marker = "P4CK"
	// MinPacket is the smallest packet in bytes: header 10, length of the name 2, one character, type 4.
	MinPacket = 17
	// MaxPacket is the largest packet in bytes that OpenSIPS 2.4 and 3.6 accept: its read buffer. 4.0 accepts 20 less.
	MaxPacket = 65535

	headerLength = 8
)

// Errors of Cut. Each ends a connection: behind a wrong length no packet can be found again.
var (
	ErrMarker   = errors.New("wrong marker")
	ErrTooShort = errors.New("packet too short")
	ErrTooLong  = errors.New("packet too long")
	errTLS      = errors.New("the peer speaks TLS on a plain connection")
)

// Cut returns the length in bytes of the packet that b begins with. It may be more than len(b): then the rest has
// not come yet. It is 0 as long as b is too short to tell. limit is the longest packet to accept. A wrong marker is
// seen at its first wrong byte.
func Cut(b []byte, limit int) (int, error) {
	if len(b) < headerLength {
		n := min(len(b), len(marker))
		if string(b[:n]) != marker[:n] {
			return 0, markerError(b)
		}
		return 0, nil
	}
	if string(b[:len(marker)]) != marker {
		return 0, markerError(b)
	}
	length := binary.LittleEndian.Uint32(b[4:])
	switch {
	case length < MinPacket:
		return 0, fmt.Errorf("%w: %d bytes, less than %d", ErrTooShort, length, MinPacket)
	case uint64(length) > uint64(limit):
		return 0, fmt.Errorf("%w: %d bytes, more than %d", ErrTooLong, length, limit)
	}
	return int(length), nil
}

// length returns the length of a packet that Cut has accepted.
func length(b []byte) int { return int(binary.LittleEndian.Uint32(b[4:])) }

// markerError shows the first bytes in hex, so that nothing of a hostile peer reaches a terminal.
func markerError(b []byte) error {
	if len(b) >= 2 && b[0] == 0x16 && b[1] == 0x03 { // a TLS record of a handshake (RFC 8446, section 5.1)
		return fmt.Errorf("%w: %w", ErrMarker, errTLS)
	}
	return fmt.Errorf("%w: the packet begins with bytes %x, not with P4CK", ErrMarker, b[:min(len(b), len(marker))])
}

// reasonOf returns the reason that belongs to an error of Cut.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, ErrTooShort):
		return TooShort
	case errors.Is(err, ErrTooLong):
		return TooLong
	}
	return WrongMarker
}
