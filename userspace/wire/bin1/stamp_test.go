package bin1_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
)

// TestStampGolden holds the bytes on the wire: appliances of different versions must agree on them.
func TestStampGolden(t *testing.T) {
	d := dialog.Details{CallID: "c", FromTag: "f", ToTag: "t"}
	c := changes.Change{Stamp: changes.Stamp{Origin: 0x0807060504030201, Seq: 0x1817161514131211}, Moment: 0x24232221}
	got := bin1.Dialect{}.AppendStamped([]byte("before"), dialog.Delete, d.AppendKey(nil), &c)
	const want = "5034434b" + "fb0d6de6" + "06000000" + "6469616c6f67" + "03010000" + "0100000063" + "0100000066" + "0100000074" +
		"0102030405060708" + "1112131415161718" + "21222324"
	if got := hex.EncodeToString(bytes.TrimPrefix(got, []byte("before"))); got != want {
		t.Errorf("\n%s, want\n%s", got, want)
	}
}

// TestStampRoundTrip: a stamp changes nothing of the event, nor where it is steered to.
func TestStampRoundTrip(t *testing.T) {
	for name, packet := range goodPackets(t) {
		var ev, came dialog.Event
		if v := bin1.Decode(packet, &ev); v != bin1.Dialog || ev.Peer != 0 || ev.Moment != 0 {
			t.Fatalf("%s: %v, %+v", name, v, ev)
		}
		sent := changes.Change{Stamp: changes.Stamp{Origin: 1<<63 | 77, Seq: 9}, Moment: 5}
		stamped := bin1.Dialect{}.AppendStamped(nil, ev.Kind, ev.Body, &sent)
		if len(stamped) != len(packet)+(bin1.Dialect{}).StampSize() {
			t.Errorf("%s: %d bytes became %d", name, len(packet), len(stamped))
		}
		if v := bin1.Decode(stamped, &came); v != bin1.Dialog {
			t.Fatalf("%s: %v", name, v)
		}
		if came.Peer != sent.Peer() || came.Moment != 5 || bin1.StampOf(stamped) != sent.Stamp {
			t.Errorf("%s: %+v with %+v", name, came, bin1.StampOf(stamped))
		}
		if !bytes.Equal(packets.SteeringKey(stamped), packets.SteeringKey(packet)) {
			t.Errorf("%s: steered elsewhere", name)
		}
		var c changes.Change
		bin1.Describe(&c, stamped, &came)
		if c.Framed || !bytes.Equal(c.Body(), ev.Body) || !bytes.Equal(c.Key(), ev.Key) || c.Stamp != sent.Stamp || c.Moment != 5 {
			t.Errorf("%s: %+v", name, c)
		}
		came.Peer, came.Moment = 0, 0
		if came.Kind != ev.Kind || !bytes.Equal(came.Body, ev.Body) || !bytes.Equal(came.Key, ev.Key) || came.Start != ev.Start || came.State != ev.State {
			t.Errorf("%s: %+v became %+v", name, ev, came)
		}
	}
}

func TestDamagedStamp(t *testing.T) {
	d := dialog.Details{CallID: "c", FromTag: "f", ToTag: "t"}
	make := func(origin, seq uint64) []byte {
		return bin1.Dialect{}.AppendStamped(nil, dialog.Delete, d.AppendKey(nil), &changes.Change{Stamp: changes.Stamp{Origin: origin, Seq: seq}})
	}
	if v := verdict(make(1, 1)); v != bin1.Dialog {
		t.Fatal(v)
	}
	for name, packet := range map[string][]byte{"no origin": make(0, 1), "no sequence number": make(1, 0)} {
		if v := verdict(packet); v != bin1.BadCommand {
			t.Errorf("%s: %v", name, v)
		}
	}
	whole := make(1, 1)
	for size := range whole {
		if size < bin1.MinSize {
			continue
		}
		if v := verdict(sign(bytes.Clone(whole[:size]))); v == bin1.Dialog {
			t.Errorf("cut to %d bytes: %v", size, v)
		}
	}
}

func TestPeersAreNeverZero(t *testing.T) {
	for _, origin := range []uint64{1, dialog.MaxPeer - 1, dialog.MaxPeer, dialog.MaxPeer + 1, 1<<64 - 1} {
		if p := (changes.Stamp{Origin: origin}).Peer(); p == 0 || p > dialog.MaxPeer {
			t.Errorf("%d has peer %d", origin, p)
		}
	}
}

func TestHelloGolden(t *testing.T) {
	h := bin1.Hello{Origin: 0x0807060504030201, Nonce: 0x1817161514131211, Port: 0x2221}
	packet := h.Append(nil)
	want := "5034434b" + "ac825a50" + "07000000" + hex.EncodeToString([]byte(bin1.OwnCapability)) + "01000000" + "01000000" +
		"0102030405060708" + "1112131415161718" + "21220000"
	if got := hex.EncodeToString(packet); got != want {
		t.Errorf("\n%s, want\n%s", got, want)
	}
	if v := verdict(packet); v != bin1.OtherCapability {
		t.Errorf("an appliance of an earlier version takes it for %v", v)
	}
	if got, ok := bin1.ParseHello(packet); !ok || got != h {
		t.Errorf("%+v, %v", got, ok)
	}
	h.Answer = true
	if got, ok := bin1.ParseHello(h.Append(nil)); !ok || got != h {
		t.Errorf("%+v, %v", got, ok)
	}
	later := sign(append(bytes.Clone(packet), "what a later version adds"...))
	if got, ok := bin1.ParseHello(later); !ok || got.Nonce != h.Nonce {
		t.Errorf("of a later version: %+v, %v", got, ok)
	}
	for size := range packet {
		if _, ok := bin1.ParseHello(packet[:size]); ok {
			t.Errorf("taken with %d bytes", size)
		}
		if size > 8 {
			if _, ok := bin1.ParseHello(sign(bytes.Clone(packet[:size]))); ok {
				t.Errorf("taken with %d bytes", size)
			}
		}
	}
	for _, change := range []func([]byte){
		func(p []byte) { p[0] = 'X' }, func(p []byte) { p[12] = 'x' }, func(p []byte) { p[19] = 9 },
		func(p []byte) { p[23] = 0 }, func(p []byte) { p[len(p)-1] = 1 },
	} {
		p := bytes.Clone(packet)
		change(p)
		if _, ok := bin1.ParseHello(sign(p)); ok {
			t.Errorf("taken: %s", strings.ToUpper(hex.EncodeToString(p)))
		}
	}
	packet[4] ^= 1
	if _, ok := bin1.ParseHello(packet); ok {
		t.Error("taken with a wrong checksum")
	}
}
