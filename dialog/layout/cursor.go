package layout

import (
	"encoding/binary"
	"math"
)

// cursor reads strings and numbers one after the other. After the first fault it reads empty strings and zeros, so
// that a message is read first and judged once.
type cursor struct {
	b     []byte
	off   int
	wide  bool // lengths have 4 bytes
	fault Fault
}

func (c *cursor) number() uint32 {
	if c.fault == NoFault && len(c.b)-c.off < 4 {
		c.fault = CutShort
	}
	if c.fault != NoFault {
		return 0
	}
	n := binary.LittleEndian.Uint32(c.b[c.off:])
	c.off += 4
	return n
}

func (c *cursor) string() []byte {
	if c.fault != NoFault {
		return nil
	}
	at := [1]uint16{}
	end, fault := 0, TooLong
	switch {
	case c.off > math.MaxUint16:
	case c.wide:
		end, fault = wideStrings(c.b, c.off, at[:])
	default:
		end, fault = narrowStrings(c.b, c.off, at[:])
	}
	if fault != NoFault {
		c.fault = fault
		return nil
	}
	from := c.off + 2
	if c.wide {
		from += 2
	}
	c.off = end
	return c.b[from:end:end]
}

// end judges the message: no fault so far, and nothing left over.
func (c *cursor) end() Fault {
	if c.fault == NoFault && c.off != len(c.b) {
		return Trailing
	}
	return c.fault
}

func appendNumber(dst []byte, n uint32) []byte { return binary.LittleEndian.AppendUint32(dst, n) }

// appendString appends s behind its length. It must fit, see fits.
func appendString(dst []byte, wide bool, s []byte) []byte {
	if wide {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
	} else {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(s)))
	}
	return append(dst, s...)
}

// fits tells whether each of the strings is short enough for its length.
func fits(strings ...[]byte) Fault {
	for _, s := range strings {
		if len(s) > MaxBody {
			return TooLong
		}
	}
	return NoFault
}
