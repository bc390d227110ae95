package shield

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// call is a dialog like those that OpenSIPS sends.
func call() dialog.Details {
	return dialog.Details{
		CallID: "1@example.org", FromTag: "f", ToTag: "t",
		FromURI: "sip:alice@example.org", ToURI: "sip:bob@example.org", HID: 7,
		Start: 1_800_000_000, State: dialog.Confirmed, Timeout: 1_800_003_600,
		CallerSocket: "udp:10.0.0.1:5060", CalleeSocket: "udp:10.0.0.1:5060", CallerCSeq: "0", CalleeCSeq: "1",
		CallerRouteSet: "<sip:edge;lr>", CallerContact: "sip:alice@192.0.2.1", CalleeContact: "sip:bob@192.0.2.2",
		Vars: "route#gw1|", Profiles: "inbound#|", UserFlags: 1, Flags: 0x18, CalleeGenCSeq: 3,
	}
}

func newShield(t testing.TB, p Policy) *Shield {
	t.Helper()
	s, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// process sends an event through a shield, and returns what leaves decoded.
func process(t testing.TB, s *Shield, kind dialog.Kind, d dialog.Details) (Outgoing, dialog.Event) {
	t.Helper()
	body := dialog.Packed(d.AppendPacked(nil))
	if kind == dialog.Delete {
		body = d.AppendKey(nil)
	}
	packet := bin1.Append(nil, kind, body)
	before := bytes.Clone(packet)
	c := bin1test.Unframed(kind, packet) // which needs not be well-formed
	c.BodySpan.From, c.Framed = uint32(bin1.Size(nil)), true
	_, out := s.Process(nil, &c)
	if !bytes.Equal(packet, before) {
		t.Fatal("the packet that came was changed")
	}
	var ev dialog.Event
	if out.Held == Passed {
		if v := bin1.Decode(out.Packet, &ev); v != bin1.Dialog || ev.Kind != out.Kind {
			t.Fatalf("what leaves is decoded as %v, kind %v; want kind %v", v, ev.Kind, out.Kind)
		}
	} else if out.Packet != nil {
		t.Fatalf("held back (%v), and a packet all the same", out.Held)
	}
	return out, ev
}

func TestPacketsLeaveAsTheyCame(t *testing.T) {
	s := newShield(t, Policy{Rewrites: []SocketRewrite{{"udp:192.0.2.9:5060", "udp:192.0.2.10:5060"}}})
	total := 0
	for _, c := range bin1test.Captures(t) {
		for _, d := range c.Datagrams {
			var ev dialog.Event
			if bin1.Decode(d.Payload, &ev) != bin1.Dialog {
				continue
			}
			total++
			came := bin1test.Change(d.Payload)
			dst, out := s.Process(nil, &came)
			if out.Held != Passed || out.Kind != ev.Kind || &out.Packet[0] != &d.Payload[0] || len(out.Packet) != len(d.Payload) {
				t.Fatalf("%s: a %v became %v, %v", c.Name, ev.Kind, out.Held, out.Kind)
			}
			if len(dst) != 0 {
				t.Fatal("something was built")
			}
			// Built from the body it is the same, too: what resync does.
			bare := bin1test.Unframed(ev.Kind, ev.Body)
			if _, out = s.Process(nil, &bare); !bytes.Equal(out.Packet, d.Payload) {
				t.Fatalf("%s: a %v built anew differs", c.Name, ev.Kind)
			}
		}
	}
	if total == 0 {
		t.Fatal("no events")
	}
}

func TestHeldBack(t *testing.T) {
	routes := func(n int) string { return strings.TrimSuffix(strings.Repeat("<sip:a;lr>,", n), ",") }
	for _, c := range []struct {
		name   string
		kind   dialog.Kind
		change func(*dialog.Details)
		want   Reason
	}{
		{"as it is", dialog.Create, func(d *dialog.Details) {}, Passed},
		{"answered", dialog.Create, func(d *dialog.Details) { d.State = dialog.Answered }, Passed},
		{"answered by the proxy", dialog.Create, func(d *dialog.Details) { d.ToTag, d.CalleeSocket, d.CalleeCSeq = "", "", "" }, Passed},
		{"unconfirmed", dialog.Update, func(d *dialog.Details) { d.State = dialog.Unconfirmed }, BeingSetUp},
		{"early", dialog.Update, func(d *dialog.Details) { d.State = dialog.Early }, BeingSetUp},
		{"state 0", dialog.Update, func(d *dialog.Details) { d.State = 0 }, BadState},
		{"state 99", dialog.Create, func(d *dialog.Details) { d.State = 99 }, BadState},
		{"empty Call-ID", dialog.Create, func(d *dialog.Details) { d.CallID = "" }, EmptyCallID},
		{"empty Call-ID, deletion", dialog.Delete, func(d *dialog.Details) { d.CallID = "" }, EmptyCallID},
		{"deletion", dialog.Delete, func(d *dialog.Details) {}, Passed},
		{"deletion without tags", dialog.Delete, func(d *dialog.Details) { d.FromTag, d.ToTag = "", "" }, Passed},
		{"64 routes", dialog.Create, func(d *dialog.Details) { d.CallerRouteSet, d.CalleeRouteSet = routes(64), routes(64) }, Passed},
		{"65 routes of the caller", dialog.Create, func(d *dialog.Details) { d.CallerRouteSet = routes(65) }, TooManyRoutes},
		{"65 routes of the callee", dialog.Create, func(d *dialog.Details) { d.CalleeRouteSet = routes(65) }, TooManyRoutes},
		{"a variable without a name", dialog.Update, func(d *dialog.Details) { d.Vars = "#x|" }, UnreadableVars},
		{"a profile without '#'", dialog.Update, func(d *dialog.Details) { d.Profiles = "inbound|" }, UnreadableProfiles},
		{"no kind", 7, func(d *dialog.Details) {}, Malformed},
		{"the longest", dialog.Create, func(d *dialog.Details) { stretch(d, bin1.MaxSize) }, Passed},
		{"too long", dialog.Create, func(d *dialog.Details) { stretch(d, bin1.MaxSize+1) }, TooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShield(t, Policy{})
			d := call()
			c.change(&d)
			if out, _ := process(t, s, c.kind, d); out.Held != c.want {
				t.Errorf("held is %v, want %v", out.Held, c.want)
			}
			r := s.Report()
			if r.Held[c.want] != 1 || (r.HeldBack() == 0) != (c.want == Passed) {
				t.Errorf("counted %v", r.Held)
			}
		})
	}
}

func stretch(d *dialog.Details, size int) {
	d.CallerContact += strings.Repeat("x", size-bin1.Size(d.AppendPacked(nil)))
}

func TestMalformedBodiesAreHeldBack(t *testing.T) {
	d := call()
	whole := dialog.Packed(d.AppendPacked(nil))
	s := newShield(t, Policy{})
	for cut := range whole {
		c := bin1test.Unframed(dialog.Update, whole[:cut])
		if _, out := s.Process(nil, &c); out.Held != Malformed {
			t.Fatalf("cut to %d bytes: %v", cut, out.Held)
		}
	}
	for _, body := range [][]byte{append(bytes.Clone(whole), 0), {0xff, 0xff, 0xff, 0xff}} {
		for _, kind := range []dialog.Kind{dialog.Create, dialog.Update, dialog.Delete} {
			c := bin1test.Unframed(kind, body)
			if _, out := s.Process(nil, &c); out.Held != Malformed {
				t.Errorf("%d bytes as %v: %v", len(body), kind, out.Held)
			}
		}
	}
}

// TestAnotherLayoutIsHeldBack: the shield doesn't read a body in a layout that its destination doesn't speak.
func TestAnotherLayoutIsHeldBack(t *testing.T) {
	d := call()
	c := bin1test.Change(bin1.Append(nil, dialog.Update, d.AppendPacked(nil)))
	c.Layout++
	if dst, out := newShield(t, Policy{}).Process(nil, &c); out.Held != OtherLayout || out.Packet != nil || len(dst) != 0 {
		t.Errorf("%+v", out)
	}
}

func TestAnEndedDialogLeavesAsADeletion(t *testing.T) {
	d := call()
	d.State = dialog.Ended
	out, ev := process(t, newShield(t, Policy{}), dialog.Update, d)
	if out.Kind != dialog.Delete || !bytes.Equal(ev.Key, d.AppendKey(nil)) {
		t.Errorf("left as %v of %q", out.Kind, ev.Key)
	}
}

func TestRewriting(t *testing.T) {
	const a, b, other = "udp:10.0.0.1:5060", "udp:10.0.0.200:5060", "tcp:10.0.0.1:5060"
	rules := []SocketRewrite{{a, b}, {b, "udp:192.0.2.1:5060"}, {"sctp:10.0.0.7:5060", "sctp:10.0.0.8:5060"}}
	for _, c := range []struct {
		caller, callee         string
		wantCaller, wantCallee string
		sockets                string
	}{
		{a, a, b, b, "[]"},
		{a, other, b, other, "[{tcp:10.0.0.1:5060 1}]"},
		{other, a, other, b, "[{tcp:10.0.0.1:5060 1}]"},
		{other, other, other, other, "[{tcp:10.0.0.1:5060 1}]"},
		{other, "udp:10.0.0.1:50", other, "udp:10.0.0.1:50", "[{tcp:10.0.0.1:5060 1} {udp:10.0.0.1:50 1}]"},
		{a, "", b, "", "[]"},
		{"", "", "", "", "[]"},
		{"sctp:10.0.0.8:5060", a, "sctp:10.0.0.8:5060", b, "[]"}, // already what a rule makes
		{b, b, "udp:192.0.2.1:5060", "udp:192.0.2.1:5060", "[]"},
	} {
		s := newShield(t, Policy{Rewrites: rules})
		d := call()
		d.CallerSocket, d.CalleeSocket = c.caller, c.callee
		out, ev := process(t, s, dialog.Update, d)
		if out.Held != Passed {
			t.Fatalf("%v: held back: %v", c, out.Held)
		}
		d.CallerSocket, d.CalleeSocket = c.wantCaller, c.wantCallee
		if got := ev.Body.Details(); got != d {
			t.Errorf("%v: got\n%+v, want\n%+v", c, got, d)
		}
		r := s.Report()
		if fmt.Sprint(r.Sockets) != c.sockets || (r.Unmatched == 1) != (c.sockets != "[]") || (r.NoSocket == 1) != (c.callee == "") {
			t.Errorf("%v: reports %+v", c, r)
		}
		if out, _ := process(t, s, dialog.Delete, d); out.Kind != dialog.Delete || s.Report().Unmatched != r.Unmatched {
			t.Errorf("a deletion became %+v, report %+v", out, s.Report())
		}
	}
}

func TestClearByeOnTimeout(t *testing.T) {
	for _, rules := range [][]SocketRewrite{nil, {{"udp:10.0.0.1:5060", "udp:10.0.0.22:5060"}}} {
		s := newShield(t, Policy{ClearByeOnTimeout: true, Rewrites: rules})
		for _, flags := range []uint32{0x18, 0x10, 8, 0xffffffff, 0} {
			d := call()
			d.Flags = flags
			_, ev := process(t, s, dialog.Create, d)
			d.Flags &^= 8
			if rules != nil {
				d.CallerSocket, d.CalleeSocket = rules[0].New, rules[0].New
			}
			if got := ev.Body.Details(); got != d {
				t.Errorf("flags %#x: got\n%+v, want\n%+v", flags, got, d)
			}
		}
	}
}

func TestRewritingMayMakeAPacketTooLong(t *testing.T) {
	s := newShield(t, Policy{Rewrites: []SocketRewrite{{"udp:10.0.0.1:5060", "udp:10.0.0.22:5060"}}})
	d := call()
	stretch(&d, bin1.MaxSize)
	if out, _ := process(t, s, dialog.Create, d); out.Held != TooLong {
		t.Errorf("held is %v", out.Held)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, rules := range [][]SocketRewrite{{{"", "a"}}, {{"a", ""}}, {{"a", "b"}, {"a", "c"}}} {
		if _, err := New(Policy{Rewrites: rules}); err == nil {
			t.Errorf("took %v", rules)
		}
	}
}

func TestSocketsListedAreBounded(t *testing.T) {
	s := newShield(t, Policy{Rewrites: []SocketRewrite{{"a", "b"}}})
	for i := range 2 * maxSockets {
		d := call()
		d.CallerSocket = fmt.Sprintf("udp:10.0.1.%03d:5060%s", i, strings.Repeat("0", 1000))
		d.CalleeSocket = d.CallerSocket
		process(t, s, dialog.Create, d)
		process(t, s, dialog.Create, d)
	}
	r := s.Report()
	if len(r.Sockets) != maxSockets || r.MoreSockets != 2*maxSockets || r.Unmatched != 4*maxSockets {
		t.Errorf("%d listed, %d more, %d unmatched", len(r.Sockets), r.MoreSockets, r.Unmatched)
	}
	for _, c := range r.Sockets {
		if c.Count != 2 || len(c.Socket) > maxSocketName {
			t.Errorf("listed %+v", c)
		}
	}
}

func TestProcessDoesNotAllocate(t *testing.T) {
	d := call()
	packet := bin1.Append(nil, dialog.Update, d.AppendPacked(nil))
	framed := bin1test.Change(packet)
	for _, p := range []Policy{
		{}, {ClearByeOnTimeout: true},
		{Rewrites: []SocketRewrite{{"udp:10.0.0.1:5060", "udp:10.0.0.22:5060"}}},
		{Rewrites: []SocketRewrite{{"udp:10.0.0.9:5060", "udp:10.0.0.22:5060"}}}, // names no socket of it
	} {
		s := newShield(t, p)
		buf := make([]byte, 0, 4096)
		for _, c := range []changes.Change{framed, bin1test.Unframed(dialog.Update, framed.Body())} {
			if n := testing.AllocsPerRun(100, func() { s.Process(buf, &c) }); n != 0 {
				t.Errorf("%+v, packet built: %t: %v allocations", p, !c.Framed, n)
			}
		}
	}
}

func BenchmarkProcess(b *testing.B) {
	d := call()
	packet := bin1.Append(nil, dialog.Update, d.AppendPacked(nil))
	framed := bin1test.Change(packet)
	unframed := bin1test.Unframed(dialog.Update, framed.Body())
	rules := []SocketRewrite{{"udp:10.0.0.1:5060", "udp:10.0.0.22:5060"}}
	for _, c := range []struct {
		name   string
		policy Policy
		change *changes.Change
	}{
		{"as it came", Policy{}, &framed}, {"built", Policy{}, &unframed}, {"rewritten", Policy{Rewrites: rules}, &framed},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := newShield(b, c.policy)
			buf := make([]byte, 0, 4096)
			for b.Loop() {
				s.Process(buf, c.change)
			}
		})
	}
}
