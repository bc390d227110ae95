package layout_test

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
)

var update = flag.Bool("update", false, "write the golden table of conversions")

// pairsOf returns a list as "name=value" lines, without the types.
func pairsOf(t *testing.T, p layout.Pairs) (out []string) {
	t.Helper()
	for p.Next() {
		out = append(out, p.Name.String()+"="+p.Value.String())
	}
	if p.Err() != nil {
		t.Fatal(p.Err())
	}
	return out
}

// checkConversion converts the dialog in v to another layout and back, and checks what the table says of each field.
func checkConversion(t *testing.T, v *layout.View, to layout.ID) {
	t.Helper()
	from := v.Layout()
	var r, back layout.Report
	var w, u layout.View
	out, fault := v.Convert([]byte("front"), to, &r)
	if fault != layout.NoFault || string(out[:5]) != "front" {
		t.Fatalf("%v to %v: %v", from, to, fault)
	}
	if fault := layout.Parse(to, out[5:], &w); fault != layout.NoFault {
		t.Fatalf("%v to %v: %v", from, to, fault)
	}
	again, fault := w.Convert(nil, from, &back)
	if fault != layout.NoFault || layout.Parse(from, again, &u) != layout.NoFault {
		t.Fatalf("%v to %v and back: %v", from, to, fault)
	}
	for f := range layout.NumFields {
		is, was, home := w.Bytes(f), v.Bytes(f), u.Bytes(f)
		if f.IsNumber() {
			is, was, home = number4(&w, f), number4(v, f), number4(&u, f)
		}
		empty := len(bytes.Trim(was, "\x00")) == 0
		fate := layout.FateOf(f, from, to)
		switch {
		case fate == layout.Kept && !bytes.Equal(is, was):
			t.Fatalf("%v to %v: %v is %q, was %q", from, to, f, is, was)
		case fate == layout.Kept && layout.FateOf(f, to, from) == layout.Kept && !bytes.Equal(home, was):
			t.Fatalf("%v to %v and back: %v is %q, was %q", from, to, f, home, was)
		case fate == layout.Filled && len(bytes.Trim(is, "\x00")) > 0:
			t.Fatalf("%v to %v: %v is filled with %q", from, to, f, is)
		case r.Dropped.Has(f) != (fate == layout.Dropped && !empty):
			t.Fatalf("%v to %v: %v dropped: %v, was %q", from, to, f, r.Dropped.Has(f), was)
		case fate != layout.Derived && r.Derived.Has(f):
			t.Fatalf("%v to %v: %v reported as derived", from, to, f)
		}
	}
	for _, lists := range [...][3]layout.Pairs{{v.Values(), w.Values(), u.Values()}, {v.Profiles(), w.Profiles(), u.Profiles()}} {
		was, is, home := pairsOf(t, lists[0]), pairsOf(t, lists[1]), pairsOf(t, lists[2])
		if r.Losses&^layout.LostType == 0 {
			if strings.Join(was, "|") != strings.Join(is, "|") {
				t.Fatalf("%v to %v: %q, was %q", from, to, is, was)
			}
			if back.Losses&^layout.LostType == 0 && strings.Join(was, "|") != strings.Join(home, "|") {
				t.Fatalf("%v to %v and back: %q, was %q", from, to, home, was)
			}
		}
	}
}

func number4(v *layout.View, f layout.Field) []byte {
	n := v.Number(f)
	return []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
}

// From every layout to every other and back.
func TestConvert(t *testing.T) {
	var v layout.View
	every(t, 50, func(t *testing.T, _ *rand.Rand, id layout.ID, body []byte) {
		if fault := layout.Parse(id, body, &v); fault != layout.NoFault {
			t.Fatal(fault)
		}
		for _, to := range layouttest.Layouts() {
			checkConversion(t, &v, to)
		}
	})
}

func TestConvertCaptures(t *testing.T) {
	for _, file := range layouttest.Captures(t, "tcp/*/S1.pcap") {
		packets, err := layouttest.Packets(file, port)
		if err != nil {
			t.Fatal(err)
		}
		var d layout.Detector
		var v layout.View
		n := 0
		for i := range packets {
			p := &packets[i]
			if p.Capability != capability || p.Type > 2 {
				continue
			}
			if fault := d.Parse(layout.Version(p.Version), p.Body, &v); fault != layout.NoFault {
				t.Fatal(fault)
			}
			for _, to := range layouttest.Layouts() {
				checkConversion(t, &v, to)
			}
			n++
		}
		if n < 700 {
			t.Errorf("%s: %d dialogs", file, n)
		}
	}
}

// What the parts of a list, the flags and the sockets become.
func TestConvertParts(t *testing.T) {
	const untyped, typed, udp = layout.Bin4Untyped, layout.Bin4Typed, layout.UDP
	for _, c := range [...]struct {
		from, to layout.ID
		field    layout.Field
		was, is  string
		losses   layout.Losses
		refusal  layout.Refusal
	}{
		{typed, untyped, layout.Values, `dlgX_shtag#1#vip|a\|b#1#c\#d|n#2#-7|`, `dlgX_shtag#vip|a\|b#c\#d|n#-7|`, layout.LostType, 0},
		{untyped, typed, layout.Values, `dlgX_shtag#vip|a\|b#c\#d|n#-7|`, `dlgX_shtag#1#vip|a\|b#1#c\#d|n#1#-7|`, 0, 0},
		{typed, udp, layout.Values, "dlgX_shtag#1#vip|account#1#x|cct#1#y|", "account#x|", layout.LostReserved, 0},
		{untyped, udp, layout.Values, "dlgX_shtag#vip|account#x|", "account#x|", layout.LostReserved, 0},
		{udp, typed, layout.Values, "dlgX_shtag#vip|account#x|", "account#1#x|", layout.LostReserved, 0},
		{typed, layout.Bin1TwoSDP, layout.Values, "dlgX_shtag#1#vip|", "dlgX_shtag#vip|", 0, 0},
		{typed, layout.Bin5, layout.Values, "n#2#7|", "n#2#7|", 0, 0},
		{typed, untyped, layout.Values, "broken", "", layout.LostUnreadable, 0},
		{typed, layout.Bin5, layout.Values, "broken", "broken", 0, 0},
		{typed, udp, layout.Profiles, "shared/b#1#k1|tot/s#1#|caller#1#x|", "shared#k1|tot/s#|caller#x|", layout.LostSharing, 0},
		{untyped, udp, layout.Profiles, "shared/b#k1|", "shared#k1|", layout.LostSharing, 0},
		{untyped, typed, layout.Profiles, "shared/b#k1|", "shared/b#1#k1|", 0, 0},
		{udp, layout.Bin1Plain, layout.Profiles, "tot/s#|", "tot/s#|", 0, 0},
		{typed, layout.Bin5, layout.CallerSocket, "udp:edge", "udp:edge", 0, 0},
		{typed, layout.Bin1TwoSDP, layout.CallerSocket, "udp:edge", "udp:edge", 0, layout.SocketTag},
		{typed, udp, layout.CalleeSocket, "udp:edge", "udp:edge", 0, layout.SocketTag},
		{typed, udp, layout.CalleeSocket, "udp:[2001:DB8:0:0:0:0:0:1]:5060", "udp:[2001:DB8:0:0:0:0:0:1]:5060", 0, 0},
		{typed, udp, layout.CalleeSocket, "wss:192.0.2.1:5061", "wss:192.0.2.1:5061", 0, layout.SocketProtocol},
		{udp, typed, layout.CalleeSocket, "", "", 0, layout.NoSocket},
		{udp, udp, layout.CalleeSocket, "", "", 0, 0},
	} {
		var f layout.Fields
		f.Strings[layout.CallID], f.Numbers[layout.State] = []byte("c"), 4
		f.Strings[layout.CallerSocket], f.Strings[layout.CalleeSocket] = []byte("udp:192.0.2.1:5060"), []byte("tcp:192.0.2.1:5060")
		f.Strings[c.field] = []byte(c.was)
		body, _ := f.Append(nil, c.from)
		var v, w layout.View
		if fault := layout.Parse(c.from, body, &v); fault != layout.NoFault {
			t.Fatal(fault)
		}
		var r layout.Report
		out, fault := v.Convert(nil, c.to, &r)
		if fault != layout.NoFault || layout.Parse(c.to, out, &w) != layout.NoFault {
			t.Fatalf("%v to %v: %v", c.from, c.to, fault)
		}
		if string(w.Bytes(c.field)) != c.is || r.Losses != c.losses || r.Refusal != c.refusal || r.Derived.Has(c.field) != (c.is != c.was) {
			t.Errorf("%v to %v: %q becomes %q, want %q; losses %q, refusal %v, derived %v", c.from, c.to, c.was, w.Bytes(c.field), c.is,
				r.Losses, r.Refusal, r.Derived)
		}
	}
}

// A bit that means something else at the other side, or nothing, isn't sent.
func TestConvertFlags(t *testing.T) {
	for _, c := range [...]struct {
		from, to layout.ID
		was, is  uint32
	}{
		{layout.UDP, layout.Bin4Typed, layout.FlagInitialised | layout.FlagTopologyHiding | layout.FlagCSeqEnforce, layout.FlagInitialised},
		{layout.Bin4Typed, layout.UDP, layout.FlagByeOnTimeout | layout.FlagCSeqEnforce | layout.FlagReinviteCaller, layout.FlagByeOnTimeout},
		{layout.Bin4Typed, layout.Bin4Untyped, layout.FlagPingCaller | layout.FlagAutoPRACK, layout.FlagPingCaller},
		{layout.Bin4Typed, layout.Bin5, layout.FlagPingCaller | layout.FlagAutoPRACK, layout.FlagPingCaller | layout.FlagAutoPRACK},
		{layout.Bin1TwoSDP, layout.Bin4Typed, layout.FlagCSeqEnforce, layout.FlagCSeqEnforce},
	} {
		var v, w layout.View
		layout.Parse(c.from, with(t, c.from, layout.FromURI, "sip:a"), &v)
		v.SetNumber(layout.Flags, c.was)
		var r layout.Report
		out, _ := v.Convert(nil, c.to, &r)
		layout.Parse(c.to, out, &w)
		if w.Number(layout.Flags) != c.is || (r.Losses&layout.LostFlags != 0) != (c.is != c.was) || r.Derived.Has(layout.Flags) != (c.is != c.was) {
			t.Errorf("%v to %v: %#x becomes %#x, want %#x; losses %q", c.from, c.to, c.was, w.Number(layout.Flags), c.is, r.Losses)
		}
	}
}

func TestConvertTooLong(t *testing.T) {
	body := with(t, layout.Bin4Typed, layout.ToURI, "")
	var v layout.View
	layout.Parse(layout.Bin4Typed, body, &v)
	body, _ = v.AppendWith(nil, layout.ToURI, make([]byte, layout.MaxBody-len(body)))
	if fault := layout.Parse(layout.Bin4Typed, body, &v); fault != layout.NoFault || len(body) != layout.MaxBody {
		t.Fatal(fault)
	}
	var r layout.Report
	if out, fault := v.Convert([]byte("front"), layout.Bin5, &r); fault != layout.TooLong || string(out) != "front" {
		t.Errorf("%v, %d bytes", fault, len(out))
	}
	if out, fault := v.Convert([]byte("front"), layout.None, &r); fault != layout.NoLayout || string(out) != "front" {
		t.Errorf("%v, %d bytes", fault, len(out))
	}
}

// The table in testdata is the one in code.
func TestConversionTable(t *testing.T) {
	golden := filepath.Join("testdata", "conversions.md")
	is := layout.AppendConversions(nil)
	if *update {
		if err := os.WriteFile(golden, is, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(is, want) {
		t.Errorf("testdata/conversions.md is old (%v): run go test ./dialog/layout -run %s -update", err, t.Name())
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "upgrade.md"))
	if err != nil || !bytes.Contains(page, is) {
		t.Errorf("docs/upgrade.md doesn't have the table of testdata/conversions.md (%v)", err)
	}
}
