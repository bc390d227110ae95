package opensipstest

import (
	"bytes"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// FuzzShield lets any packet through a shield into the model of OpenSIPS, behind a call of its own. What leaves can be decoded and
// tells of the same dialog, what came is not written to, and the receiver comes to no harm.
func FuzzShield(f *testing.F) {
	for _, d := range []dialog.Details{
		call(),
		with(func(d *dialog.Details) { d.Vars = `a#1|b\|#2|` }),
		with(func(d *dialog.Details) { d.Profiles = `a\\#|` }),
		with(func(d *dialog.Details) { d.CallerRouteSet = string(bytes.Repeat([]byte(`"a,b" <sip:a>,`), 66)) }),
		with(func(d *dialog.Details) { d.State, d.Flags = dialog.Ended, 8 }),
		with(func(d *dialog.Details) { d.CallerSocket = "udp:10.0.0.1:5060" }),
	} {
		for _, kind := range []dialog.Kind{dialog.Create, dialog.Update, dialog.Delete} {
			f.Add(packet(kind, d))
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) < bin1.Size(nil) {
			return
		}
		came := resealed(bytes.Clone(input))
		var ev, left dialog.Event
		if bin1.Decode(came, &ev) != bin1.Dialog {
			return
		}
		sh, err := shield.New(shield.Policy{ClearByeOnTimeout: true, Rewrites: []shield.SocketRewrite{{Old: "udp:10.0.0.1:5060", New: home}}})
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(came)
		c := bin1test.Change(came)
		_, out := sh.Process(nil, &c)
		if !bytes.Equal(came, before) {
			t.Fatal("the packet was written to")
		}
		if out.Held != shield.Passed {
			if out.Packet != nil {
				t.Fatalf("held back as %v, and a packet all the same", out.Held)
			}
			return
		}
		if v := bin1.Decode(out.Packet, &left); v != bin1.Dialog || left.Kind != out.Kind || !bytes.Equal(left.Key, ev.Key) {
			t.Fatalf("%v, %+v became %+v", v, ev, left)
		}
		r := New(Config{Sockets: []string{home}, Started: now - 3600})
		r.Handle(packet(dialog.Create, call()), now)
		r.Handle(out.Packet, now)
		r.Tick(now + 1<<33)
		if f := r.Faults(); f.Crashed != "" || f.Undefined+f.Overwritten+f.Astray+f.Leaked+f.Byes != 0 {
			t.Fatalf("%+v", f)
		}
	})
}
