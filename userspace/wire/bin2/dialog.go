package bin2

import (
	"encoding/binary"
	"math"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
)

// Decoder makes events of the packets of one node. It learns in which layout the node sends dialogs. The zero value is
// ready. It belongs to one goroutine.
type Decoder struct {
	layout.Detector
	view layout.View
}

// IsPacket tells a packet of generation 2 from one of generation 1, where both may come: in datagrams. Generation 2 has
// the packet's size behind the marker, and a name of 1 byte or more, whose length has 2 bytes. In generation 1 these 2
// bytes are the upper half of a length, and 0 in every packet that fits a datagram. Where the size is wrong, as in a packet
// that was cut, the name must be a known one: a big-endian sender of generation 1 has something there, too.
func IsPacket(b []byte) bool {
	if len(b) < MinSize || b[nameOffset-2]|b[nameOffset-1] == 0 || string(b[:len(marker)]) != marker {
		return false
	}
	if uint64(binary.LittleEndian.Uint32(b[lengthOffset:])) == uint64(len(b)) {
		return true
	}
	name := int(binary.LittleEndian.Uint16(b[nameOffset-2:]))
	return name <= len(b)-nameOffset && CapabilityOf(b[nameOffset:nameOffset+name]) != OtherCapability
}

// Decode reads a packet of any capability into ev and overwrites all that ev held before. The byte slices of ev are views
// into the packet. If the verdict is not Event, ev must not be used.
func (d *Decoder) Decode(packet []byte, ev *dialog.Event) Verdict {
	p, err := Parse(packet)
	if err != nil {
		return BadPacket
	}
	switch p.Capability() {
	case Dialogs:
		return d.dialog(p, ev)
	case Extra:
		if _, _, ok := syncOf(p); ok {
			return Chunks
		}
	}
	return OtherPacket
}

// versionOf returns the version of a packet of dialogs. One out of range stays so.
func versionOf(p Packet) layout.Version {
	v := p.Version()
	if v < 1 || v > math.MaxUint8 {
		return layout.LastVersion + 1
	}
	return layout.Version(v)
}

func (d *Decoder) dialog(p Packet, ev *dialog.Event) Verdict {
	if p.HasTail() {
		return d.withTail(p, ev)
	}
	version, body := versionOf(p), p.Body()
	kind, fault := layout.KindOf(version, p.Type(), body)
	if fault != layout.NoFault {
		return VerdictOf(fault)
	}
	switch kind {
	case layout.Created:
		return d.snapshot(version, body, dialog.Create, ev)
	case layout.Updated:
		return d.snapshot(version, body, dialog.Update, ev)
	case layout.Deleted:
		return VerdictOf(ev.SetDeletion(d.layoutOf(version), body))
	case layout.CSeq:
		return VerdictOf(ev.SetCSeq(d.layoutOf(version), body))
	case layout.Value:
		fault := ev.SetValue(d.layoutOf(version), body)
		if fault == layout.NoFault {
			d.Message(version, kind)
		}
		return VerdictOf(fault)
	}
	return OtherPacket // a tag
}

func (d *Decoder) snapshot(version layout.Version, body []byte, kind dialog.Kind, ev *dialog.Event) Verdict {
	fault := d.Parse(version, body, &d.view)
	if fault == layout.NoFault {
		ev.SetSnapshot(&d.view, kind)
	}
	return VerdictOf(fault)
}

// layoutOf returns the layout for a message that isn't a dialog: such messages are alike in all layouts of a version.
func (d *Decoder) layoutOf(version layout.Version) layout.ID {
	if id, _ := d.Layout(); id.Valid() && id.Version() == version {
		return id
	}
	return layout.OfVersion(version).Last()
}

// ChunkWalk walks the events of a packet for which Decode said Chunks.
//
//	w := d.ChunksOf(packet)
//	for w.Next(&ev) { if w.Verdict == Event { use ev } }
type ChunkWalk struct {
	// Cluster is the number of the cluster, and Source that of the node that sends its dialogs.
	Cluster, Source int32
	// Verdict on the chunk that Next found: Event, or what is wrong with it.
	Verdict Verdict

	decoder *Decoder
	sync    layout.Sync
	done    bool
}

// ChunksOf starts a walk.
func (d *Decoder) ChunksOf(packet []byte) ChunkWalk {
	w := ChunkWalk{decoder: d, done: true}
	p, err := Parse(packet)
	if err != nil {
		return w
	}
	version, body, ok := syncOf(p)
	if !ok {
		return w
	}
	w.Cluster, w.Source, _ = p.Sender()
	var fault layout.Fault
	if w.sync, fault = layout.ParseSync(version, body); fault != layout.NoFault {
		return w
	}
	w.done = false
	return w
}

// Next makes ev the event of the next chunk, a dialog.Chunk, and tells whether there is one. A chunk whose content is
// broken doesn't end the walk. If Verdict isn't Event, ev must not be used.
func (w *ChunkWalk) Next(ev *dialog.Event) bool {
	switch {
	case w.done:
		return false
	case w.sync.Next():
		w.Verdict = w.decoder.snapshot(w.sync.Version, w.sync.Chunk, dialog.Chunk, ev)
		return true
	}
	w.done = true
	w.Verdict = VerdictOf(w.sync.Fault())
	return w.Verdict != Event
}

// syncOf tells whether a packet of capability Extra is a SYNC for dialogs, and returns its version and body.
func syncOf(p Packet) (version int16, body []byte, ok bool) {
	kind, _, err := KindOf(p, 0)
	if err != nil || kind != KindSync {
		return 0, nil, false
	}
	body = p.Body()
	r := NewReader(body)
	if CapabilityOf(r.Str()) != Dialogs {
		return 0, nil, false
	}
	return p.Version(), body, true
}

// Describe fills in what c says of the event ev: all but the sender and the source, and the stamp unless the packet has one.
// packet is the packet that Decode made ev of; nil for a chunk, and for what no packet told. It keeps a view of packet, or of
// ev.Body.
func Describe(c *changes.Change, packet []byte, ev *dialog.Event) {
	from := uint32(0)
	if c.Bytes, c.Framed = ev.Body, packet != nil; c.Framed {
		c.Bytes, from = packet, uint32(Packet(packet).typeOffset()+typeSize)
	}
	c.BodySpan = changes.Span{From: from, To: from + uint32(len(ev.Body))}
	c.KeySpan = changes.Span{From: from, To: from + uint32(len(ev.Key))}
	c.Capability, c.Layout = changes.Dialogs, changes.Layout(ev.Layout)
	c.Kind, c.State, c.Moment, c.Confirms, c.HID = ev.Kind, ev.State, ev.Moment, ev.Confirms, ev.EndedHID
	if c.Framed && Packet(packet).HasTail() { // not the packet of a node
		c.Framed = false
		if ev.Peer != 0 {
			c.Stamp = StampOf(packet)
		}
	}
}
