package dialog

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"binrepd/dialog/layout"
)

// full has a different value in each field.
var full = Details{
	CallID: "1-28794@127.0.0.1", FromTag: "28794SIPpTag001", ToTag: "28792SIPpTag011",
	FromURI: "sip:alice@example.org", ToURI: "sip:bob@example.com",
	HID: 0x1a0f4c24, Start: 1795399490, State: Confirmed,
	CallerSocket: "udp:127.0.0.1:5060", CalleeSocket: "tls:[0:0:0:0:0:0:0:1]:5061", CallerCSeq: "7", CalleeCSeq: "1",
	CallerRouteSet: "<sip:a;lr>,<sip:b;lr>", CalleeRouteSet: "<sip:c;lr>",
	CallerContact: "sip:alice@127.0.0.1:5082", CalleeContact: "sip:127.0.0.1:5070;transport=UDP",
	MangledFrom: "sip:anonymous@invalid", MangledTo: "sip:bob\x00@invalid",
	Vars: `route#gw1;pri=1\|x|account#acct-alice0|`, Profiles: "inbound#|caller#alice0|",
	UserFlags: 8, Flags: 0x18, Timeout: 1795403090, CallerGenCSeq: 3, CalleeGenCSeq: 4,
}

func TestParseSnapshot(t *testing.T) {
	body := full.AppendPacked([]byte("in front of it"))[len("in front of it"):]
	ev := Event{Hash: 1, Origin: 2, Outcome: Late, tag: 3} // what was in it must not remain
	if fault := ParseSnapshot(body, Update, &ev); fault != NoFault {
		t.Fatalf("fault %d", fault)
	}
	want := Event{Kind: Update, State: Confirmed, Layout: layout.UDP, Start: full.Start, Timeout: full.Timeout, Key: full.AppendKey(nil), Body: body}
	if !reflect.DeepEqual(ev, want) {
		t.Errorf("event %+v, want %+v", ev, want)
	}
	if got := ev.Body.Details(); got != full {
		t.Errorf("details %+v, want %+v", got, full)
	}
	if ev.ends() {
		t.Error("a live snapshot is no end")
	}
	f := ev.Body.Fields()
	if got := string(f.Bytes(CalleeRouteSet)); got != full.CalleeRouteSet {
		t.Errorf("route set towards the callee %q", got)
	}
	if got := f.Number(UserFlags); got != full.UserFlags {
		t.Errorf("user flags %d", got)
	}
	// Appending to a key must not write over the body behind it.
	if _ = append(ev.Key, "xxxx"...); ev.Body.Details() != full {
		t.Error("the key has the room of the body")
	}
}

func TestParseKey(t *testing.T) {
	key := full.AppendKey(nil)
	ev := Event{State: Early, Start: 1, Timeout: 2, Hash: 1, Origin: 2, Outcome: Late, tag: 3}
	if fault := ParseKey(key, &ev); fault != NoFault {
		t.Fatalf("fault %d", fault)
	}
	if want := (Event{Kind: Delete, Layout: layout.UDP, Key: key, Body: key}); !reflect.DeepEqual(ev, want) {
		t.Errorf("event %+v, want %+v", ev, want)
	}
	var parts []string
	for p := ev.Key; len(p) > 0; {
		var s []byte
		s, p = p.Part()
		parts = append(parts, string(s))
	}
	if got, want := strings.Join(parts, " "), full.CallID+" "+full.FromTag+" "+full.ToTag; got != want {
		t.Errorf("parts %q, want %q", got, want)
	}
}

// Every cut and every length out of bounds is a fault, and no parse reads beyond the bytes.
func TestParseFaults(t *testing.T) {
	parses := map[string]struct {
		whole   []byte
		strings []int // offsets of lengths
		parse   func([]byte, *Event) Fault
	}{
		"snapshot": {full.AppendPacked(nil), nil, func(b []byte, ev *Event) Fault { return ParseSnapshot(b, Create, ev) }},
		"key":      {full.AppendKey(nil), nil, ParseKey},
	}
	for name, p := range parses {
		t.Run(name, func(t *testing.T) {
			fields := Packed(full.AppendPacked(nil)).Fields()
			for f := range NumFields {
				if at := int(fields.at[f]); !f.isNumber() && at < len(p.whole) {
					p.strings = append(p.strings, at)
				}
			}
			var ev Event
			for n := range p.whole {
				if fault := p.parse(p.whole[:n:n], &ev); fault != CutShort && fault != PastEnd {
					t.Errorf("cut to %d bytes: fault %d", n, fault)
				}
			}
			if fault := p.parse(append(bytes.Clone(p.whole), 0), &ev); fault != Trailing {
				t.Errorf("one more byte: fault %d", fault)
			}
			for _, at := range p.strings {
				for length, want := range map[uint32]Fault{
					uint32(len(p.whole) - at - 3): PastEnd,
					0x7fffffff:                    PastEnd,
					0x80000000:                    NegativeLength,
					0xffffffff:                    NegativeLength,
				} {
					b := bytes.Clone(p.whole)
					binary.LittleEndian.PutUint32(b[at:], length)
					if fault := p.parse(b, &ev); fault != want {
						t.Errorf("length %#x at %d: fault %d, want %d", length, at, fault, want)
					}
				}
			}
		})
	}
}

func TestParseContent(t *testing.T) {
	var ev Event
	empty := Details{State: Early}
	if fault := ParseSnapshot(empty.AppendPacked(nil), Create, &ev); fault != NoCallID {
		t.Errorf("no Call-ID: fault %d", fault)
	}
	if fault := ParseKey(empty.AppendKey(nil), &ev); fault != NoCallID {
		t.Errorf("no Call-ID in a key: fault %d", fault)
	}
	if got := len(empty.AppendPacked(nil)); got != minSnapshot {
		t.Errorf("the smallest snapshot is %d bytes, want %d", got, minSnapshot)
	}
	for state, want := range map[State]Fault{0: BadState, Unconfirmed: NoFault, Ended: NoFault, 6: BadState, 255: BadState} {
		d := Details{CallID: "c", State: state}
		if fault := ParseSnapshot(d.AppendPacked(nil), Update, &ev); fault != want {
			t.Errorf("state %d: fault %d, want %d", state, fault, want)
		}
		if want == NoFault != state.Valid() {
			t.Errorf("state %d: valid %v", state, state.Valid())
		}
	}
	// The state is 32 bits wide: 0x104 is not 4.
	d := Details{CallID: "c", State: Confirmed}
	b := d.AppendPacked(nil)
	f := Packed(b).Fields()
	b[f.at[StateField]+1] = 1
	if fault := ParseSnapshot(b, Update, &ev); fault != BadState {
		t.Errorf("state 0x104: fault %d", fault)
	}
}

func TestKeyComparisons(t *testing.T) {
	keyOf := func(id, from, to string) key {
		d := Details{CallID: id, FromTag: from, ToTag: to}
		return key{d.AppendKey(nil), true}
	}
	narrow := func(k key) (n key) {
		for range keyFields {
			var s []byte
			s, k = k.part()
			n.b = append(binary.LittleEndian.AppendUint16(n.b, uint16(len(s))), s...)
		}
		return n
	}
	for _, c := range []struct {
		p, q                              key
		sameCall, caller, names, mirrored bool
	}{
		{keyOf("c", "a", "b"), keyOf("c", "a", "b"), true, true, true, false},
		{keyOf("c", "a", "b"), keyOf("c", "b", "a"), true, false, true, true},
		{keyOf("c", "a", "b"), keyOf("c", "a", ""), true, true, true, false},
		{keyOf("c", "a", "b"), keyOf("c", "b", ""), true, false, true, false},
		{keyOf("c", "a", "b"), keyOf("d", "b", "a"), false, false, false, false},
		{keyOf("c", "ab", ""), keyOf("c", "", "ab"), true, false, true, true},
		{keyOf("c", "", ""), keyOf("c", "", ""), true, true, true, true},
		// The same bytes in a row, divided differently.
		{keyOf("c", "ab", "c"), keyOf("c", "a", "bc"), true, false, false, false},
		{keyOf("ca", "b", "c"), keyOf("c", "ab", "c"), false, false, false, false},
	} {
		// The same whatever the widths of lengths are.
		for _, k := range [][2]key{{c.p, c.q}, {narrow(c.p), c.q}, {c.p, narrow(c.q)}, {narrow(c.p), narrow(c.q)}} {
			p, q := k[0], k[1]
			if a, b, d, e := p.sameCallID(q), p.sameCaller(q), p.names(q), p.mirrors(q); a != c.sameCall || b != c.caller || d != c.names || e != c.mirrored {
				t.Errorf("%q and %q: same call %v, same caller %v, names %v, mirrors %v", p.b, q.b, a, b, d, e)
			}
			if got, want := p.equal(q), bytes.Equal(c.p.b, c.q.b); got != want {
				t.Errorf("%q and %q: equal %v", p.b, q.b, got)
			}
		}
	}
}

func TestNames(t *testing.T) {
	seen := make(map[string]bool)
	for o := range Outcomes {
		if name := o.String(); name == "" || name == "invalid" || seen[name] {
			t.Errorf("outcome %d is called %q", o, name)
		} else {
			seen[name] = true
		}
	}
	if got := Outcomes.String() + State(0).String() + State(6).String() + Kind(0).String() + Kinds.String(); got != strings.Repeat("invalid", 5) {
		t.Errorf("what is out of range is called %s", got)
	}
	if got := Create.String() + Update.String() + Delete.String() + Value.String() + CSeq.String() + Chunk.String(); got != "createupdatedeletevaluecseqchunk" {
		t.Errorf("kinds are called %s", got)
	}
}

// FuzzParse: no bytes make a parse read out of bounds. What a parse accepts, Details gives back byte for byte.
func FuzzParse(f *testing.F) {
	f.Add(full.AppendPacked(nil))
	f.Add(full.AppendKey(nil))
	minimal := Details{CallID: "c", State: Unconfirmed}
	f.Add(minimal.AppendPacked(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)[:len(b):len(b)]
		var ev Event
		if ParseSnapshot(b, Update, &ev) == NoFault {
			d := ev.Body.Details()
			if got := d.AppendPacked(nil); !bytes.Equal(got, b) {
				t.Errorf("%x comes back as %x", b, got)
			}
			if d.State != ev.State || d.Start != ev.Start || d.Timeout != ev.Timeout || d.CallID == "" {
				t.Errorf("event %+v, details %+v", ev, d)
			}
			if got := d.AppendKey(nil); !bytes.Equal(got, ev.Key) {
				t.Errorf("key %x, want %x", ev.Key, got)
			}
		}
		if ParseKey(b, &ev) == NoFault {
			_, rest := ev.Key.Part()
			_, rest = rest.Part()
			if _, rest = rest.Part(); len(rest) != 0 {
				t.Errorf("%x: %x is behind the key", b, rest)
			}
		}
	})
}
