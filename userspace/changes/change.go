package changes

import (
	"binrepd/dialog"
	"binrepd/userspace/in/packets"
)

// Capability is what a change is about. The numbers are those of journals and logs: only append to them.
type Capability uint8

// Dialogs are calls: OpenSIPS's capability "dialog".
const Dialogs Capability = 1

// Layout names how the fields of a body lie in bytes, and with that the format of the packet around it. The package of each
// wire format has the number of its own. 0 is no layout.
type Layout uint8

// Stamp tells one change from all others, wherever it goes.
type Stamp struct {
	// Origin is the number of the appliance or node that took the event in; 0: unknown.
	Origin uint64
	// Seq numbers the changes of that origin, from 1.
	Seq uint64
}

// Peer returns the dialog.Event.Peer of the origin. Two origins have the same one now and then.
func (s Stamp) Peer() uint16 { return uint16(s.Origin%dialog.MaxPeer) + 1 }

// Span is a part of Change.Bytes: offsets in bytes, To behind the last.
type Span struct{ From, To uint32 }

// Change is one event that altered a table. Its bytes are views. The function that passes the Change says
// until when they are valid.
type Change struct {
	Stamp
	// Bytes holds the body. If Framed is set it is the whole packet that told of the change, in the format of Layout. If another
	// appliance sent the packet with a stamp, Framed isn't set, and Bytes is that packet.
	Bytes []byte
	// BodySpan and KeySpan say where body and key lie in Bytes.
	BodySpan, KeySpan Span
	// Sender is who sent the event to this appliance; the zero value if nobody did.
	Sender packets.Sender
	// Source numbers the sender in the engine's register; 0 stands for one that isn't there.
	Source     uint16
	Capability Capability
	Kind       dialog.Kind
	// State is that of a dialog's snapshot; 0 in a deletion.
	State  dialog.State
	Layout Layout
	Framed bool
	// Confirms says that the change tells nothing but a later moment. Only appliances need to know.
	Confirms bool
	// Began says that the change is an update of a dialog that wasn't in the table. Others may not know the dialog either.
	Began bool
	// Moment is that of the content (dialog.Event).
	Moment uint32
	// HID is h_id of the dialog that has ended, for receivers that find dialogs by it; 0 if it isn't known or none has ended.
	HID uint32
}

// Body returns the fields of the dialog, of a deletion its key, as they lie in Layout.
func (c *Change) Body() []byte { return c.Bytes[c.BodySpan.From:c.BodySpan.To:c.BodySpan.To] }

// Key returns the packed key: Call-ID, from-tag and to-tag (see dialog.Packed).
func (c *Change) Key() []byte { return c.Bytes[c.KeySpan.From:c.KeySpan.To:c.KeySpan.To] }

// Packet returns the packet that told of the change, nil if there is none.
func (c *Change) Packet() []byte {
	if !c.Framed {
		return nil
	}
	return c.Bytes
}

// Outlet takes changes.
type Outlet interface {
	// Forward takes changes that happened in this order. It must not block, nor call the table, nor keep anything that it is
	// given: it is called with a shard of the table locked. It may write to list; its caller makes nothing of that.
	Forward(list []Change)
}

// Dialect is how one kind of receiver wants its packets: a layout and the format around it. The package of each wire format has
// one.
type Dialect interface {
	// Layout returns the layout of the bodies that it takes.
	Layout() Layout
	// MaxSize is the size in bytes of the longest packet that a receiver takes.
	MaxSize() int
	// Size returns the size in bytes of the packet that Append makes of body.
	Size(body []byte) int
	// Append appends the packet that tells kind of body, or for a deletion of a key, to dst.
	Append(dst []byte, kind dialog.Kind, body []byte) []byte
	// AppendSockets appends a copy of the body to dst, with other sockets for caller and callee. An empty one stays as it is.
	AppendSockets(dst, body []byte, caller, callee string) []byte
	// SetFlags overwrites the flags of the body.
	SetFlags(body []byte, flags uint32)
}

// Stamper is a Dialect of which another appliance takes packets with a stamp.
type Stamper interface {
	Dialect
	// AppendStamped is like Append. The packet carries the stamp and the moment of c.
	AppendStamped(dst []byte, kind dialog.Kind, body []byte, c *Change) []byte
	// StampSize is by how many bytes such a packet is longer.
	StampSize() int
}
