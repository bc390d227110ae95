package bin1

import (
	"encoding/binary"

	"binrepd/dialog"
	"binrepd/userspace/changes"
)

// Layout is that of the bodies of generation 1, which are dialog.Packed.
const Layout changes.Layout = 1

// Describe fills in what c says of the event ev, which Decode made of packet: all but the sender and the source, and the stamp
// unless the packet has one. It keeps a view of packet.
func Describe(c *changes.Change, packet []byte, ev *dialog.Event) {
	const from = uint32(fieldsOffset)
	c.Bytes, c.Framed = packet, true
	c.BodySpan = changes.Span{From: from, To: uint32(len(packet))}
	c.KeySpan = changes.Span{From: from, To: from + uint32(len(ev.Key))}
	c.Capability, c.Layout = changes.Dialogs, Layout
	c.Kind, c.State, c.Moment, c.Confirms, c.HID = ev.Kind, ev.State, ev.Moment, ev.Confirms, ev.EndedHID
	if ev.Peer != 0 { // not the packet of a proxy
		c.Stamp, c.Framed = StampOf(packet), false
		c.BodySpan.To -= stampSize
	}
}

// Dialect is what an OpenSIPS of generation 1 speaks, and another binrepd that replicates over UDP.
type Dialect struct{}

var (
	_ changes.Dialect = Dialect{}
	_ changes.Stamper = Dialect{}
)

// Layout implements changes.Dialect.
func (Dialect) Layout() changes.Layout { return Layout }

// MaxSize implements changes.Dialect: what fits a UDP datagram over IPv4.
func (Dialect) MaxSize() int { return MaxSize }

// Size implements changes.Dialect.
func (Dialect) Size(body []byte) int { return Size(body) }

// Append implements changes.Dialect.
func (Dialect) Append(dst []byte, kind dialog.Kind, body []byte) []byte {
	return Append(dst, kind, body)
}

// AppendSockets implements changes.Dialect. The two sockets are neighbours, behind five strings and three numbers.
func (Dialect) AppendSockets(dst, body []byte, caller, callee string) []byte {
	from := 0
	for range 5 {
		from = stringEnd(body, from)
	}
	from += 3 * 4
	middle := stringEnd(body, from)
	to := stringEnd(body, middle)
	dst = append(dst, body[:from]...)
	dst = appendEither(dst, body[from:middle], caller)
	dst = appendEither(dst, body[middle:to], callee)
	return append(dst, body[to:]...)
}

// SetFlags implements changes.Dialect. The flags are the fourth number from the end, before the timeout and two generated CSeqs.
func (Dialect) SetFlags(body []byte, flags uint32) {
	binary.LittleEndian.PutUint32(body[len(body)-4*4:], flags)
}

// stringEnd returns the offset behind the string at offset at.
func stringEnd(body []byte, at int) int { return at + 4 + int(binary.LittleEndian.Uint32(body[at:])) }

// appendEither appends the replacement as a string, or without one the old string with its length.
func appendEither(dst, old []byte, replacement string) []byte {
	if replacement == "" {
		return append(dst, old...)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(replacement)))
	return append(dst, replacement...)
}
