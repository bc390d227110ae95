package replay

import (
	"bytes"
	"iter"
	"math"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/trace/capture"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// packets returns what is sent for a datagram: itself, nothing, or a packet for each dialog of a sync.
func (p *player) packets(d *capture.Datagram) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if d.TCP || bin2.IsPacket(d.Payload) {
			p.generation2(d, yield)
			return
		}
		if string(bin1.Capability(d.Payload)) == bin1.OwnCapability {
			p.summary.Internal++
			return
		}
		yield(p.generation1(d.Payload))
	}
}

// generation1 returns the packet with its times moved forward, and without the mark of an appliance. An appliance that
// has seen the event with that mark would drop it. Packets that can't be read are returned unchanged.
func (p *player) generation1(packet []byte) []byte {
	var ev dialog.Event
	if bin1.Decode(packet, &ev) != bin1.Dialog {
		return packet
	}
	marked := ev.Peer != 0
	if marked {
		p.summary.Unmarked++
	}
	switch {
	case ev.Kind != dialog.Delete && p.shift != 0:
		d := ev.Body.Details()
		d.Start, d.Timeout = later(d.Start, p.shift), later(d.Timeout, p.shift)
		p.summary.Shifted++
		return bin1.Append(nil, ev.Kind, d.AppendPacked(nil))
	case !marked:
		return packet
	case ev.Kind == dialog.Delete:
		return bin1.Append(nil, ev.Kind, ev.Key)
	}
	return bin1.Append(nil, ev.Kind, ev.Body)
}

// generation2 yields a packet as appliances pass it on to each other: in one datagram. What nodes say about the cluster
// is of no use to a receiver that is no node.
func (p *player) generation2(d *capture.Datagram, yield func([]byte) bool) {
	packet, err := bin2.Parse(d.Payload)
	if err != nil {
		yield(d.Payload)
		return
	}
	switch packet.Capability() {
	case bin2.Internal:
		p.summary.Internal++
		return
	case bin2.Extra:
		p.chunks(d, packet, yield)
		return
	}
	out := d.Payload
	if p.shift != 0 {
		out = bytes.Clone(out)
		var ev dialog.Event
		if p.decoder(d).Decode(out, &ev) == bin2.Event && (ev.Kind == dialog.Create || ev.Kind == dialog.Update) {
			p.move(&ev)
		}
	}
	yield(out)
}

// chunks yields an update for each dialog of a sync.
func (p *player) chunks(d *capture.Datagram, packet bin2.Packet, yield func([]byte) bool) {
	var ev dialog.Event
	decoder := p.decoder(d)
	data := bytes.Clone(packet)
	trailer, _ := packet.Trailer()
	if decoder.Decode(data, &ev) != bin2.Chunks {
		p.summary.Internal++
		return
	}
	for w := decoder.ChunksOf(data); w.Next(&ev); {
		if w.Verdict != bin2.Event {
			continue
		}
		if p.shift != 0 {
			p.move(&ev)
		}
		version := ev.Layout.Version()
		number, _ := layout.Updated.Number(version)
		writer := bin2.Begin(nil, int16(version), bin2.Dialogs.String(), number)
		writer.Raw(ev.Body)
		out, err := writer.EndTrailer(trailer)
		if err != nil {
			continue // a dialog that came in a packet has room in another
		}
		p.summary.Chunks++
		if !yield(out) {
			return
		}
	}
}

// decoder returns that of the sender.
func (p *player) decoder(d *capture.Datagram) *bin2.Decoder {
	from := d.Source.Addr()
	if p.nodes[from] == nil {
		p.nodes[from] = &bin2.Decoder{}
	}
	return p.nodes[from]
}

// move moves the times of a snapshot, in place.
func (p *player) move(ev *dialog.Event) {
	var v layout.View
	if layout.Parse(ev.Layout, ev.Body, &v) != layout.NoFault {
		return
	}
	for _, f := range [...]layout.Field{layout.Start, layout.Timeout} {
		v.SetNumber(f, later(v.Number(f), p.shift))
	}
	p.summary.Shifted++
}

// later moves a time in Unix seconds. 0 means no time and stays 0.
func later(unix uint32, seconds int64) uint32 {
	if unix == 0 {
		return 0
	}
	return uint32(min(max(int64(unix)+seconds, 1), math.MaxUint32))
}
