package bin1_test

import (
	"bytes"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/wire/bin1"
)

func sample() dialog.Details {
	return dialog.Details{
		CallID: "1@example.org", FromTag: "f", ToTag: "t", FromURI: "sip:a@b", ToURI: "sip:c@d", HID: 7, Start: 1, State: dialog.Confirmed,
		CallerSocket: "udp:10.0.0.1:5060", CalleeSocket: "tcp:10.0.0.1:5060", CallerCSeq: "1", CalleeContact: "sip:c@e",
		Vars: "v#1|", UserFlags: 5, Flags: 0x18, Timeout: 9, CalleeGenCSeq: 3,
	}
}

func TestDescribe(t *testing.T) {
	d := sample()
	for kind, body := range map[dialog.Kind][]byte{
		dialog.Create: d.AppendPacked(nil), dialog.Update: d.AppendPacked(nil), dialog.Delete: d.AppendKey(nil),
	} {
		packet := bin1.Append(nil, kind, body)
		var ev dialog.Event
		if v := bin1.Decode(packet, &ev); v != bin1.Dialog {
			t.Fatal(v)
		}
		c := changes.Change{Stamp: changes.Stamp{Origin: 1, Seq: 2}, Source: 3}
		bin1.Describe(&c, packet, &ev)
		if c.Capability != changes.Dialogs || c.Layout != bin1.Layout || c.Kind != kind || c.State != ev.State || c.Seq != 2 || c.Source != 3 {
			t.Errorf("%v: %+v", kind, c)
		}
		if !bytes.Equal(c.Body(), body) || !bytes.Equal(c.Key(), d.AppendKey(nil)) || &c.Packet()[0] != &packet[0] {
			t.Errorf("%v: body %q, key %q", kind, c.Body(), c.Key())
		}
		if c.Framed = false; c.Packet() != nil {
			t.Error("a packet where none came")
		}
		if n := testing.AllocsPerRun(100, func() { bin1.Describe(&c, packet, &ev) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// TestDialectChangesBodies: sockets and flags are replaced, each alone and all together, and nothing else is.
func TestDialectChangesBodies(t *testing.T) {
	d := sample()
	body := d.AppendPacked(nil)
	for _, callers := range []string{"", "udp:192.0.2.1:5060"} {
		for _, callees := range []string{"", "tls:192.0.2.2:5061"} {
			want := d
			if callers != "" {
				want.CallerSocket = callers
			}
			if callees != "" {
				want.CalleeSocket = callees
			}
			want.Flags = 0x10
			got := bin1.Dialect{}.AppendSockets([]byte("x"), body, callers, callees)
			bin1.Dialect{}.SetFlags(got[1:], 0x10)
			if got[0] != 'x' || !bytes.Equal(got[1:], want.AppendPacked(nil)) {
				t.Errorf("%q, %q: %q", callers, callees, got)
			}
		}
	}
	if !bytes.Equal(body, d.AppendPacked(nil)) {
		t.Error("the body itself was changed")
	}
}

func TestDialectWritesPackets(t *testing.T) {
	var dialect changes.Dialect = bin1.Dialect{}
	d := sample()
	body := d.AppendPacked(nil)
	packet := dialect.Append(nil, dialog.Update, body)
	if !bytes.Equal(packet, bin1.Append(nil, dialog.Update, body)) || dialect.Size(body) != len(packet) || dialect.MaxSize() != bin1.MaxSize {
		t.Errorf("%d bytes, told %d, at most %d", len(packet), dialect.Size(body), dialect.MaxSize())
	}
}
