package bin2

import (
	"encoding/binary"
	"hash/crc32"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
)

// Between appliances a packet of capability "dialog-dlg-repl" travels in a datagram. It is the packet that a node sent, with
// a tail between its body and its trailer. Its type is that of the node's packet plus stamped, and its length counts the
// tail. So the Call-ID lies where it always does, and packets are steered by it as ever.
//
//	+-------------------+------+------------+---------+------------+------------+--------------+---------+
//	| header, name, type| body | u64 origin | u64 seq | u32 moment | u32 layout | u32 checksum | trailer |
//	+-------------------+------+------------+---------+------------+------------+--------------+---------+
//
// The checksum is the CRC-32 of all other bytes of the packet. The XDP program doesn't check that of UDP, and generation 2 has
// none of its own.
//
// All numbers are little endian. The layout is a layout.ID: the version of a packet doesn't always tell it. A sync sends
// packets with origin, seq and moment 0, which are no stamp. No OpenSIPS ever gets such a packet.
const (
	stamped  = 1 << 8
	tailSize = 8 + 8 + 4 + 4 + 4
)

// tail is what an appliance adds to a packet.
type tail struct {
	changes.Stamp
	moment uint32
	layout layout.ID
}

func (t *tail) read(b []byte) {
	le := binary.LittleEndian
	*t = tail{Stamp: changes.Stamp{Origin: le.Uint64(b), Seq: le.Uint64(b[8:])}, moment: le.Uint32(b[16:])}
	if id := le.Uint32(b[20:]); id < uint32(layout.IDs) {
		t.layout = layout.ID(id)
	}
}

func (t *tail) append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, t.Origin)
	dst = le.AppendUint64(dst, t.Seq)
	dst = le.AppendUint32(dst, t.moment)
	dst = le.AppendUint32(dst, uint32(t.layout))
	return le.AppendUint32(dst, 0) // see seal
}

// checksum returns the checksum of a packet with a tail, and where it belongs.
func checksum(p Packet) (sum uint32, at int) {
	at = p.typeOffset() + typeSize + len(p.Body()) - 4
	return crc32.Update(crc32.ChecksumIEEE(p[:at]), crc32.IEEETable, p[at+4:]), at
}

// seal writes the checksum of a packet that is complete otherwise.
func seal(p Packet) {
	sum, at := checksum(p)
	binary.LittleEndian.PutUint32(p[at:], sum)
}

// HasTail tells whether a packet, which Parse has accepted, is one of dialogs with the tail of another appliance.
func (p Packet) HasTail() bool {
	t := p.Type()
	return t > stamped && t < 2*stamped && p.Capability() == Dialogs
}

// StampOf returns the stamp of a packet with a tail, of which Decode made an event with a Peer.
func StampOf(packet []byte) (s changes.Stamp) {
	var t tail
	if body := Packet(packet).Body(); len(body) >= tailSize {
		t.read(body[len(body)-tailSize:])
	}
	return t.Stamp
}

// withTail decodes a packet with a tail.
func (d *Decoder) withTail(p Packet, ev *dialog.Event) Verdict {
	version, body := versionOf(p), p.Body()
	end := len(body) - tailSize
	if end < 0 {
		return TooShort
	}
	if sum, at := checksum(p); sum != binary.LittleEndian.Uint32(p[at:]) {
		return BadChecksum
	}
	var t tail
	t.read(body[end:])
	if body = body[:end:end]; t.layout == layout.None || t.layout.Version() != version {
		return UnknownLayout
	}
	if (t.Origin == 0) != (t.Seq == 0) {
		return BadCommand
	}
	kind, fault := layout.KindOf(version, p.Type()-stamped, body)
	if fault != layout.NoFault {
		return VerdictOf(fault)
	}
	switch kind {
	case layout.Created, layout.Updated:
		if fault = layout.Parse(t.layout, body, &d.view); fault == layout.NoFault {
			ev.SetSnapshot(&d.view, dialog.Kind(kind))
		}
	case layout.Deleted:
		fault = ev.SetDeletion(t.layout, body)
	case layout.CSeq:
		fault = ev.SetCSeq(t.layout, body)
	case layout.Value:
		fault = ev.SetValue(t.layout, body)
	default:
		return BadCommand // an appliance passes on what changes dialogs
	}
	if fault != layout.NoFault {
		return VerdictOf(fault)
	}
	d.Told(t.layout)
	if t.Origin != 0 {
		ev.Peer, ev.Moment = t.Peer(), t.moment
	}
	return Event
}

// StampedSize returns the size in bytes of the packet that AppendStamped makes of c.
func StampedSize(c *changes.Change) int {
	if c.BodySpan.From == 0 {
		return nameOffset + len(capabilityNames[Dialogs]) + typeSize + len(c.Bytes) + tailSize + trailerSize
	}
	if Packet(c.Bytes).HasTail() {
		return len(c.Bytes)
	}
	return len(c.Bytes) + tailSize
}

// AppendStamped appends the packet that tells another appliance of c to dst. It carries the stamp, the moment and the layout
// of c. If a packet told of c, header, body and trailer are those of that packet. Otherwise the trailer names c.Sender. The
// Fault TooLong says that no packet can be that long, UnknownType that the layout has no such message. Then dst comes back
// as it was.
func AppendStamped(dst []byte, c *changes.Change) ([]byte, error) {
	t := tail{c.Stamp, c.Moment, layout.ID(c.Layout)}
	if c.BodySpan.From == 0 {
		return appendBuilt(dst, c, &t)
	}
	if StampedSize(c) > MaxSize {
		return dst, TooLong
	}
	from, p := len(dst), Packet(c.Bytes)
	dst = append(dst, p[:c.BodySpan.To]...)
	dst = t.append(dst)
	rest := p[c.BodySpan.To:]
	if p.HasTail() {
		rest = rest[tailSize:]
	}
	dst = append(dst, rest...)
	made := dst[from:]
	binary.LittleEndian.PutUint32(made[lengthOffset:], uint32(len(made)))
	number := made[c.BodySpan.From-typeSize:]
	binary.LittleEndian.PutUint32(number, binary.LittleEndian.Uint32(number)|stamped)
	seal(made)
	return dst, nil
}

// appendBuilt is AppendStamped for a change that no packet told of.
func appendBuilt(dst []byte, c *changes.Change, t *tail) ([]byte, error) {
	version := t.layout.Version()
	number, ok := messageOf(c.Kind).Number(version)
	if !ok || version == 0 {
		return dst, UnknownType
	}
	w := Begin(dst, int16(version), capabilityNames[Dialogs], stamped+number)
	w.Raw(c.Bytes)
	w.buf = t.append(w.buf)
	from := len(dst)
	dst, err := w.EndTrailer(Trailer{Cluster: int32(c.Sender.Cluster), Source: int32(c.Sender.Node)})
	if err == nil {
		seal(dst[from:])
	}
	return dst, err
}

// messageOf returns the message that tells of a change of that kind. What a sync brought is an update for others.
func messageOf(k dialog.Kind) layout.Kind {
	switch k {
	case dialog.Create:
		return layout.Created
	case dialog.Update, dialog.Chunk:
		return layout.Updated
	case dialog.Delete:
		return layout.Deleted
	case dialog.CSeq:
		return layout.CSeq
	case dialog.Value:
		return layout.Value
	}
	return layout.NoKind
}
