package layout_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
)

// with returns a random dialog with the given content of one string field.
func with(t testing.TB, id layout.ID, field layout.Field, content string) []byte {
	t.Helper()
	var f layout.Fields
	layouttest.Fill(rand.New(rand.NewPCG(11, uint64(id))), id, &f)
	f.Strings[field] = []byte(content)
	body, fault := f.Append(nil, id)
	if fault != layout.NoFault {
		t.Fatal(fault)
	}
	return body
}

func TestApplyValue(t *testing.T) {
	text := func(name, value string) layout.ValueChange {
		return layout.ValueChange{Name: []byte(name), Type: layout.Text, Text: []byte(value)}
	}
	integer := func(name string, n int32) layout.ValueChange {
		return layout.ValueChange{Name: []byte(name), Type: layout.Integer, Int: n}
	}
	removal := func(name string) layout.ValueChange { return layout.ValueChange{Name: []byte(name)} }
	for _, c := range [...]struct {
		typed   bool
		list    string
		m       layout.ValueChange
		want    string
		changed layout.Changed
	}{
		{true, "", text("a", "x"), "a#1#x|", layout.Done},
		{true, "b#1#y|", text("a", "x"), "a#1#x|b#1#y|", layout.Done},
		{true, "b#1#y|a#1#x|c#2#7|", text("a", "z"), "b#1#y|a#1#z|c#2#7|", layout.Done},
		{true, "b#1#y|a#1#x|c#2#7|", text("a", "x"), "", layout.Same},
		{true, "b#1#y|a#1#x|c#2#7|", integer("a", -5), "b#1#y|a#2#-5|c#2#7|", layout.Done},
		{true, "c#2#7|", integer("c", 7), "", layout.Same},
		{true, "c#1#7|", integer("c", 7), "c#2#7|", layout.Done},
		{true, "c#2#7|", text("c", "7"), "c#1#7|", layout.Done},
		{true, "b#1#y|a#1#x|c#2#7|", removal("a"), "b#1#y|c#2#7|", layout.Done},
		{true, "a#1#x|", removal("a"), "", layout.Done},
		{true, "a#1#x|", removal("b"), "", layout.Same},
		{true, "a#1#x|b#1#y|a#1#z|", text("a", "x"), "a#1#x|b#1#y|", layout.Done},
		{true, "a#1#x|b#1#y|a#1#z|", removal("a"), "b#1#y|", layout.Done},
		{true, `a\|b#1#x|`, text("a|b", `c#d\e`), `a\|b#1#c\#d\\e|`, layout.Done},
		{true, `a\|b#1#c\#d|`, text("a|b", `c#d`), "", layout.Same},
		{false, "b#y|a#x|", text("a", "z"), "b#y|a#z|", layout.Done},
		{false, "b#y|", integer("n", 42), "n#42|b#y|", layout.Done},
		{false, "n#42|", integer("n", 42), "", layout.Same},
		{false, "b#y|a#x|", removal("b"), "a#x|", layout.Done},
	} {
		for _, id := range layouttest.Layouts() {
			if id.Typed() != c.typed {
				continue
			}
			body := with(t, id, layout.Values, c.list)
			var v, w layout.View
			if fault := layout.Parse(id, body, &v); fault != layout.NoFault {
				t.Fatal(fault)
			}
			out, changed, fault := v.ApplyValue([]byte("front"), &c.m)
			if fault != layout.NoFault || changed != c.changed || string(out[:5]) != "front" {
				t.Errorf("%v, %q with %+v: %v, %v", id, c.list, c.m, changed, fault)
				continue
			}
			if changed == layout.Same {
				if len(out) != 5 {
					t.Errorf("%v, %q: %d bytes for no change", id, c.list, len(out))
				}
				continue
			}
			if want := with(t, id, layout.Values, c.want); !bytes.Equal(out[5:], want) {
				layout.Parse(id, out[5:], &w)
				t.Errorf("%v, %q: %q, want %q", id, c.list, w.Bytes(layout.Values), c.want)
			}
		}
	}
}

func TestApplyValueRefuses(t *testing.T) {
	var v layout.View
	for what, c := range map[string]struct {
		list string
		m    layout.ValueChange
		want layout.Fault
	}{
		"broken list":  {"a#b", layout.ValueChange{Name: []byte("a"), Type: layout.Text}, layout.BadList},
		"no name":      {"", layout.ValueChange{Type: layout.Text}, layout.BadName},
		"unknown type": {"", layout.ValueChange{Name: []byte("a"), Type: 3}, layout.BadValueType},
		"too long":     {"", layout.ValueChange{Name: []byte("a"), Type: layout.Text, Text: make([]byte, 65_500)}, layout.TooLong},
	} {
		body := with(t, layout.Bin4Typed, layout.Values, c.list)
		layout.Parse(layout.Bin4Typed, body, &v)
		if out, changed, fault := v.ApplyValue([]byte("front"), &c.m); fault != c.want || changed != layout.Same || string(out) != "front" {
			t.Errorf("%s: %v, %v, %d bytes", what, changed, fault, len(out))
		}
	}
}

// Values are what a map of them is, whatever the order of changes.
func TestApplyValueModel(t *testing.T) {
	for _, id := range [...]layout.ID{layout.UDP, layout.Bin4Untyped, layout.Bin4Typed, layout.Bin5} {
		rng := rand.New(rand.NewPCG(2, uint64(id)))
		body := with(t, id, layout.Values, "")
		model := map[string]string{}
		var v layout.View
		for range 2000 {
			layout.Parse(id, body, &v)
			m := layout.ValueChange{Name: []byte{"ab|#\\"[rng.IntN(5)], "xy\\"[rng.IntN(3)]}, Type: layout.ValueType(rng.IntN(3))}
			switch m.Type {
			case layout.NoValue:
				delete(model, string(m.Name))
			case layout.Text:
				m.Text = []byte{"|#\\x"[rng.IntN(4)]}
				model[string(m.Name)] = string(m.Text)
			case layout.Integer:
				m.Int = 10 + rng.Int32N(3)
				model[string(m.Name)] = string([]byte{byte('0' + m.Int/10), byte('0' + m.Int%10)})
			}
			out, changed, fault := v.ApplyValue(nil, &m)
			if fault != layout.NoFault {
				t.Fatal(fault)
			}
			if changed == layout.Done {
				body = out
			}
			if fault := layout.Parse(id, body, &v); fault != layout.NoFault {
				t.Fatal(fault)
			}
			n := 0
			p := v.Values()
			for ; p.Next(); n++ {
				if model[p.Name.String()] != p.Value.String() {
					t.Fatalf("%v: %q is %q, want %q", id, p.Name, p.Value, model[p.Name.String()])
				}
			}
			if n != len(model) || p.Err() != nil {
				t.Fatalf("%v: %d values, want %d; %v", id, n, len(model), p.Err())
			}
		}
	}
}

func TestApplyCSeq(t *testing.T) {
	every(t, 5, func(t *testing.T, _ *rand.Rand, id layout.ID, body []byte) {
		var v layout.View
		layout.Parse(id, body, &v)
		caller, callee := v.Number(layout.CallerGenCSeq), v.Number(layout.CalleeGenCSeq)
		from, to := bytes.Clone(v.Bytes(layout.FromTag)), bytes.Clone(v.Bytes(layout.ToTag))
		for _, c := range [...]struct {
			tag            []byte
			number         uint32
			want           layout.Changed
			caller, callee uint32
		}{
			{from, caller + 5, layout.Done, caller + 5, callee},
			{from, caller + 5, layout.Same, caller + 5, callee},
			{from, caller + 4, layout.Stale, caller + 5, callee},
			{to, callee + 1, layout.Done, caller + 5, callee + 1},
			{to, 0, layout.Stale, caller + 5, callee + 1},
			{[]byte("nobody"), 200, layout.NotLeg, caller + 5, callee + 1},
		} {
			m := layout.CSeqChange{Tag: c.tag, Number: c.number}
			if got := v.ApplyCSeq(&m); got != c.want {
				t.Fatalf("%q to %d: %v, want %v", c.tag, c.number, got, c.want)
			}
			if v.Number(layout.CallerGenCSeq) != c.caller || v.Number(layout.CalleeGenCSeq) != c.callee {
				t.Fatalf("%q to %d: %d and %d", c.tag, c.number, v.Number(layout.CallerGenCSeq), v.Number(layout.CalleeGenCSeq))
			}
		}
	})
}

func TestSetNumber(t *testing.T) {
	every(t, 5, func(t *testing.T, rng *rand.Rand, id layout.ID, body []byte) {
		var v, w layout.View
		layout.Parse(id, body, &v)
		for f := range layout.NumFields {
			var before, after layout.Fields
			v.CopyTo(&before)
			n := 1 + rng.Uint32N(4) // also a valid state
			if set := v.SetNumber(f, n); set != (v.Has(f) && f.IsNumber()) {
				t.Fatalf("%v: %v", f, set)
			} else if !set {
				continue
			}
			before.Numbers[f] = n
			if fault := layout.Parse(id, body, &w); fault != layout.NoFault {
				t.Fatal(fault)
			}
			w.CopyTo(&after)
			for g := range layout.NumFields {
				if after.Numbers[g] != before.Numbers[g] || !bytes.Equal(after.Strings[g], before.Strings[g]) {
					t.Fatalf("%v set, %v differs", f, g)
				}
			}
		}
		if v.StateOffset() != v.Offset(layout.State) || v.TimeoutOffset() != v.Offset(layout.Timeout) {
			t.Fatal("offsets differ")
		}
	})
}

// Two dialogs have the same content when nothing but the timeout differs.
func TestSameContent(t *testing.T) {
	every(t, 5, func(t *testing.T, _ *rand.Rand, id layout.ID, body []byte) {
		var v, w layout.View
		layout.Parse(id, body, &v)
		other := bytes.Clone(body)
		layout.Parse(id, other, &w)
		w.SetNumber(layout.Timeout, w.Number(layout.Timeout)+1)
		if !v.SameContent(other) || !w.SameContent(body) || !v.SameContent(body) {
			t.Fatal("a later timeout is taken for content")
		}
		timeout := v.TimeoutOffset()
		for i := range body {
			if other[i]++; v.SameContent(other) != (i >= timeout && i < timeout+4) {
				t.Fatalf("byte %d of %d, timeout at %d", i, len(body), timeout)
			}
			other[i]--
		}
		if v.SameContent(body[:len(body)-1]) || v.SameContent(nil) {
			t.Fatal("a shorter dialog has the same content")
		}
	})
}

func TestAppendWith(t *testing.T) {
	every(t, 20, func(t *testing.T, _ *rand.Rand, id layout.ID, body []byte) {
		var v, w layout.View
		layout.Parse(id, body, &v)
		for f := range layout.NumFields {
			out, fault := v.AppendWith([]byte("front"), f, []byte("new "), []byte("content"))
			if !v.Has(f) || f.IsNumber() {
				if fault == layout.NoFault || string(out) != "front" {
					t.Fatalf("%v: %v", f, fault)
				}
				continue
			}
			var want layout.Fields
			v.CopyTo(&want)
			want.Strings[f] = []byte("new content")
			b, _ := want.Append([]byte("front"), id)
			if fault != layout.NoFault || !bytes.Equal(out, b) {
				t.Fatalf("%v: %v: %q, want %q", f, fault, out, b)
			}
			if fault := layout.Parse(id, out[5:], &w); fault != layout.NoFault {
				t.Fatal(fault)
			}
		}
		if out, fault := v.AppendWith(nil, layout.ToURI, make([]byte, layout.MaxBody)); fault != layout.TooLong || len(out) != 0 {
			t.Fatalf("too long: %v", fault)
		}
	})
}
