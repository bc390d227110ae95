package bin2_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin2"
)

func deletion(t *testing.T) []byte {
	m := layout.Deletion{CallID: []byte("c"), FromTag: []byte("f"), ToTag: []byte("t"), HID: 5}
	body, fault := m.Append(nil, 4)
	if fault != layout.NoFault {
		t.Fatal(fault)
	}
	return packet2(t, 4, "dialog-dlg-repl", 3, body)
}

// described decodes a packet and describes the change that it tells of.
func described(t *testing.T, packet []byte) (ev dialog.Event, c changes.Change) {
	t.Helper()
	var d bin2.Decoder
	if v := d.Decode(packet, &ev); v != bin2.Event {
		t.Fatalf("%v: %x", v, packet)
	}
	bin2.Describe(&c, packet, &ev)
	return ev, c
}

// TestStampGolden holds the bytes on the wire: appliances of different versions must agree on them.
func TestStampGolden(t *testing.T) {
	_, c := described(t, deletion(t))
	c.Stamp, c.Moment = changes.Stamp{Origin: 0x0807060504030201, Seq: 0x1817161514131211}, 0x24232221
	got, err := bin2.AppendStamped([]byte("before"), &c)
	const want = "5034434b" + "54000000" + "0400" + "0f00" + "6469616c6f672d646c672d7265706c" + "03010000" +
		"010063" + "010066" + "010074" + "05000000" + "0102030405060708" + "1112131415161718" + "21222324" + "09000000" + "cfdfcf01" +
		"010000000200000003000000"
	if got := hex.EncodeToString(bytes.TrimPrefix(got, []byte("before"))); got != want || err != nil {
		t.Errorf("\n%s, want\n%s, %v", got, want, err)
	}
}

// TestStampRoundTrip: a stamp changes nothing of the event, of its layout and of where it is steered to, however often it is passed on.
func TestStampRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, id := range layouttest.Layouts() {
		if id == layout.UDP {
			continue
		}
		for _, number := range []int32{1, 2} {
			packet := packet2(t, int16(id.Version()), "dialog-dlg-repl", number, layouttest.Dialog(rng, id))
			ev, c := described(t, packet)
			sent := changes.Stamp{Origin: 1<<63 | 77, Seq: 9}
			c.Stamp, c.Moment, c.Layout = sent, 5, changes.Layout(id)
			for hop := range 3 {
				if size := bin2.StampedSize(&c); size != len(packet)+28 {
					t.Errorf("%v, hop %d: %d bytes become %d", id, hop, len(packet), size)
				}
				stamped, err := bin2.AppendStamped(nil, &c)
				if err != nil || len(stamped) != len(packet)+28 {
					t.Fatalf("%v: %d bytes, %v", id, len(stamped), err)
				}
				if p, err := bin2.Parse(stamped); err != nil || !p.HasTail() || !bin2.IsPacket(stamped) {
					t.Fatalf("%v: %v", id, err)
				} else if trailer, _ := p.Trailer(); trailer != (bin2.Trailer{Cluster: 1, Source: 2, Destination: 3}) {
					t.Errorf("%v: %+v", id, trailer)
				}
				var came dialog.Event
				came, c = described(t, stamped)
				if came.Layout != id || came.Kind != ev.Kind || !bytes.Equal(came.Body, ev.Body) || !bytes.Equal(came.Key, ev.Key) ||
					came.HID != ev.HID || came.Peer != sent.Peer() || came.Moment != 5 || bin2.StampOf(stamped) != sent {
					t.Errorf("%v: %+v became %+v", id, ev, came)
				}
				if c.Framed || c.Stamp != sent || c.Moment != 5 || !bytes.Equal(c.Body(), ev.Body) || !bytes.Equal(c.Key(), ev.Key) {
					t.Errorf("%v: %+v", id, c)
				}
				if (packets.Steering{}).Hash(stamped, packets.Endpoint{}) != (packets.Steering{}).Hash(packet, packets.Endpoint{}) {
					t.Errorf("%v: steered elsewhere", id)
				}
			}
		}
	}
}

// TestStampOfWhatNoPacketTold: a chunk of a sync, and what a sync between appliances sends. The second has no stamp.
func TestStampOfWhatNoPacketTold(t *testing.T) {
	body := layouttest.Dialog(rand.New(rand.NewPCG(5, 6)), layout.Bin4Untyped)
	c := changes.Change{
		Layout: changes.Layout(layout.Bin4Untyped), Kind: dialog.Chunk, Bytes: body, BodySpan: changes.Span{To: uint32(len(body))},
		Sender: packets.Sender{Cluster: 7, Node: 8},
	}
	size := bin2.StampedSize(&c)
	p, err := bin2.AppendStamped(nil, &c)
	if err != nil || len(p) != size {
		t.Fatalf("%d bytes, want %d: %v", len(p), size, err)
	}
	ev, again := described(t, p)
	if ev.Kind != dialog.Update || ev.Layout != layout.Bin4Untyped || ev.Peer != 0 || !bytes.Equal(ev.Body, body) || again.Stamp != (changes.Stamp{}) {
		t.Errorf("%+v, %+v", ev, again)
	}
	if cluster, node, _ := bin2.Packet(p).Sender(); cluster != 7 || node != 8 {
		t.Errorf("node %d of cluster %d", node, cluster)
	}
	c.Kind, c.Layout = dialog.Value, changes.Layout(layout.Bin1Plain)
	if p, err := bin2.AppendStamped([]byte("x"), &c); err != bin2.UnknownType || string(p) != "x" {
		t.Errorf("a value in version 1: %v", err)
	}
	c.Kind, c.Layout, c.Bytes = dialog.Update, changes.Layout(layout.Bin4Typed), make([]byte, bin2.MaxSize)
	if p, err := bin2.AppendStamped([]byte("x"), &c); err != bin2.TooLong || string(p) != "x" {
		t.Errorf("too long: %v", err)
	}
}

func TestDamagedStamp(t *testing.T) {
	stamp := func(origin, seq uint64, id layout.ID, body []byte) []byte {
		c := changes.Change{
			Stamp: changes.Stamp{Origin: origin, Seq: seq}, Layout: changes.Layout(id), Kind: dialog.Delete, Bytes: body, BodySpan: changes.Span{To: uint32(len(body))},
		}
		p, err := bin2.AppendStamped(nil, &c)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	_, good := described(t, deletion(t))
	body := good.Body()
	short := packet2(t, 4, "dialog-dlg-repl", 256+3, body)
	// sealed writes the checksum again.
	sealed := func(p bin2.Packet) bin2.Packet {
		at := len(p) - 12 - 4
		binary.LittleEndian.PutUint32(p[at:], crc32.ChecksumIEEE(slices.Concat(p[:at], p[at+4:])))
		return p
	}
	other := stamp(1, 1, layout.Bin4Typed, body)
	other[8] = 3 // the version, while the layout is of version 4
	tag := sealed(packet2(t, 1, "dialog-dlg-repl", 256+4, append([]byte("\x01\x00x"), stamp(1, 1, layout.Bin1Plain, nil)[31:31+28]...)))
	for at, whole := 0, stamp(1, 1, layout.Bin4Typed, body); at < len(whole); at++ {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x10
		var d bin2.Decoder
		var ev dialog.Event
		if got := d.Decode(damaged, &ev); got == bin2.Event {
			t.Errorf("byte %d damaged: taken", at)
		} else if at >= 31 && at < len(whole)-12 && got != bin2.BadChecksum {
			t.Errorf("byte %d damaged: %v", at, got)
		}
	}
	for name, c := range map[string]struct {
		packet []byte
		want   bin2.Verdict
	}{
		"good":               {stamp(1, 1, layout.Bin4Typed, body), bin2.Event},
		"no stamp":           {stamp(0, 0, layout.Bin4Typed, body), bin2.Event},
		"no origin":          {stamp(0, 1, layout.Bin4Typed, body), bin2.BadCommand},
		"no sequence number": {stamp(1, 0, layout.Bin4Typed, body), bin2.BadCommand},
		"no tail":            {short, bin2.TooShort},
		"another version":    {sealed(other), bin2.UnknownLayout},
		"a tag":              {tag, bin2.BadCommand},
		"no such type":       {sealed(packet2(t, 4, "dialog-dlg-repl", 256+9, append(slices.Clone(body), make([]byte, 28)...))), bin2.UnknownLayout},
	} {
		var d bin2.Decoder
		var ev dialog.Event
		if got := d.Decode(c.packet, &ev); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestStampingAllocatesNothing(t *testing.T) {
	packet := deletion(t)
	_, c := described(t, packet)
	c.Stamp = changes.Stamp{Origin: 1, Seq: 1}
	buf := make([]byte, 0, 4096)
	var d bin2.Decoder
	var ev dialog.Event
	if n := testing.AllocsPerRun(100, func() {
		stamped, _ := bin2.AppendStamped(buf, &c)
		d.Decode(stamped, &ev)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
