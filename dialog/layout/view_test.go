package layout_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
)

// Each layout has its name, which leads back to it, and at least the common fields.
func TestLayouts(t *testing.T) {
	names := map[string]bool{}
	for _, id := range layouttest.Layouts() {
		if layout.ByName(id.String()) != id || names[id.String()] || id.Releases() == "" {
			t.Errorf("layout %d: name %q leads to %d, releases %q", id, id, layout.ByName(id.String()), id.Releases())
		}
		names[id.String()] = true
		if !layout.OfVersion(id.Version()).Has(id) {
			t.Errorf("%v isn't among those of version %d", id, id.Version())
		}
	}
	// Fields by the specification: 25 of generation 1, 35 of version 4.
	for id, n := range map[layout.ID]int{
		layout.UDP: 25, layout.Bin1Plain: 26, layout.Bin1TwoSDP: 28, layout.Bin1FourSDP: 32, layout.Bin2Plain: 32, layout.Bin2Routes: 35,
		layout.Bin3: 35, layout.Bin4Untyped: 35, layout.Bin4Typed: 35, layout.Bin5: 37,
	} {
		if id.Fields().Len() != n {
			t.Errorf("%v has %d fields, want %d", id, id.Fields().Len(), n)
		}
	}
	if layout.None.Valid() || layout.IDs.Valid() || layout.ID(200).String() != "none" || layout.ByName("x") != layout.None ||
		layout.OfVersion(layout.LastVersion+1) != 0 {
		t.Error("layouts that don't exist")
	}
}

// every runs check with random dialogs of every layout.
func every(t *testing.T, n int, check func(t *testing.T, rng *rand.Rand, id layout.ID, body []byte)) {
	for _, id := range layouttest.Layouts() {
		t.Run(id.String(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, uint64(id)))
			for range n {
				check(t, rng, id, layouttest.Dialog(rng, id))
			}
		})
	}
}

// A dialog of any layout parses into the fields it was made of, and no other number of bytes does.
func TestParse(t *testing.T) {
	var v layout.View // one for all: nothing must remain of the dialog before
	every(t, 200, func(t *testing.T, rng *rand.Rand, id layout.ID, body []byte) {
		if fault := layout.Parse(id, body, &v); fault != layout.NoFault {
			t.Fatalf("%v: %q", fault, body)
		}
		var f layout.Fields
		v.CopyTo(&f)
		for i := range layout.NumFields {
			switch {
			case v.Has(i) != id.Fields().Has(i), v.Has(i) != (v.Offset(i) >= 0):
				t.Fatalf("%v: has %v", i, v.Has(i))
			case i.IsNumber() && v.Number(i) != f.Numbers[i], !i.IsNumber() && !bytes.Equal(v.Bytes(i), f.Strings[i]):
				t.Fatalf("%v differs", i)
			case !v.Has(i) && (v.Bytes(i) != nil || v.Number(i) != 0):
				t.Fatalf("%v has content", i)
			}
		}
		reencoded(t, &v)
		m := layout.Deletion{CallID: v.Bytes(layout.CallID), FromTag: v.Bytes(layout.FromTag), ToTag: v.Bytes(layout.ToTag)}
		key, _ := m.Append(nil, min(id.Version(), 3))
		if !bytes.Equal(v.Key(), key) {
			t.Fatalf("key %q, want %q", v.Key(), key)
		}
		n, fault := layout.ParsePrefix(id, append(bytes.Clone(body), "more"...), &v)
		if n != len(body) || fault != layout.NoFault || !bytes.Equal(v.Body(), body) {
			t.Fatalf("prefix of %d bytes, %v; want %d", n, fault, len(body))
		}
	})
}

// Every truncation of a dialog is refused, in every layout, and so is every dialog with a byte more.
func TestTruncations(t *testing.T) {
	var v layout.View
	every(t, 3, func(t *testing.T, rng *rand.Rand, id layout.ID, body []byte) {
		for n := range body {
			if fault := layout.Parse(id, body[:n:n], &v); fault == layout.NoFault {
				t.Fatalf("the first %d bytes of %d", n, len(body))
			}
			for other := layout.ID(0); other <= layout.IDs; other++ {
				layout.Parse(other, body[:n:n], &v) // whatever it says, it must not panic
			}
		}
		if fault := layout.Parse(id, append(bytes.Clone(body), 0), &v); fault != layout.Trailing {
			t.Fatalf("a byte more: %v", fault)
		}
	})
}

func TestFaults(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var f layout.Fields
	var v layout.View
	build := func(id layout.ID, change func(*layout.Fields)) []byte {
		layouttest.Fill(rng, id, &f)
		change(&f)
		body, _ := f.Append(nil, id)
		return body
	}
	for _, id := range layouttest.Layouts() {
		for name, c := range map[string]struct {
			body []byte
			want layout.Fault
		}{
			"empty":     {nil, layout.CutShort},
			"Call-ID":   {build(id, func(f *layout.Fields) { f.Strings[layout.CallID] = nil }), layout.NoCallID},
			"state 0":   {build(id, func(f *layout.Fields) { f.Numbers[layout.State] = 0 }), layout.BadState},
			"state 6":   {build(id, func(f *layout.Fields) { f.Numbers[layout.State] = 6 }), layout.BadState},
			"too large": {bytes.Repeat([]byte{0}, layout.MaxBody+1), layout.TooLong},
			"past end":  {[]byte{9, 0, 0, 0, 'x'}, layout.PastEnd},
		} {
			if fault := layout.Parse(id, c.body, &v); fault != c.want {
				t.Errorf("%v, %s: %v, want %v", id, name, fault, c.want)
			}
		}
	}
	if fault := layout.Parse(layout.None, []byte("x"), &v); fault != layout.NoLayout {
		t.Error(fault)
	}
	names := map[string]bool{}
	for fault := range layout.Faults {
		if names[fault.String()] || fault.String() == "" {
			t.Errorf("fault %d has the name %q", fault, fault)
		}
		names[fault.String()] = true
	}
	layouttest.Fill(rng, layout.Bin4Typed, &f)
	f.Strings[layout.CallerSDP], f.Strings[layout.CalleeSDP] = bytes.Repeat([]byte("s"), 40_000), bytes.Repeat([]byte("s"), 40_000)
	if b, fault := f.Append([]byte("x"), layout.Bin4Typed); fault != layout.TooLong || string(b) != "x" {
		t.Errorf("a dialog of 80 kB: %v, %d bytes", fault, len(b))
	}
	f.Strings[layout.CallerSDP] = bytes.Repeat([]byte("s"), 70_000)
	if b, fault := f.Append([]byte("x"), layout.Bin4Typed); fault != layout.TooLong || string(b) != "x" {
		t.Errorf("a string of 70 kB: %v, %d bytes", fault, len(b))
	}
}

// Any bytes, in any layout: no panic, views within the bytes, and what is accepted encodes to the same bytes.
func FuzzParse(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, id := range layouttest.Layouts() {
		f.Add(uint8(id), layouttest.Dialog(rng, id))
	}
	for _, x := range vectors(f) {
		f.Add(uint8(x.id), x.body)
	}
	f.Fuzz(func(t *testing.T, number uint8, body []byte) {
		id := layout.ID(number)
		before := bytes.Clone(body)
		var v, w layout.View
		n, prefix := layout.ParsePrefix(id, body, &w)
		if fault := layout.Parse(id, body, &v); fault != layout.NoFault {
			if prefix == layout.NoFault && n == len(body) {
				t.Fatalf("%v, but the prefix is the whole", fault)
			}
			return
		}
		if prefix != layout.NoFault || n != len(body) {
			t.Fatalf("prefix of %d, %v", n, prefix)
		}
		reencoded(t, &v)
		v.AppendJSON(nil, layout.Print{HashSize: 4096})
		for to := layout.UDP; to < layout.IDs; to++ {
			var r layout.Report
			out, fault := v.Convert(nil, to, &r)
			if fault != layout.NoFault {
				continue
			}
			if fault := layout.Parse(to, out, &w); fault != layout.NoFault {
				t.Fatalf("%v to %v: %v", id, to, fault)
			}
		}
		m := layout.ValueChange{Name: []byte("new|"), Type: layout.Text, Text: []byte("a#b")}
		if out, changed, fault := v.ApplyValue(nil, &m); fault == layout.NoFault && changed == layout.Done {
			if fault := layout.Parse(id, out, &w); fault != layout.NoFault {
				t.Fatalf("with a value: %v", fault)
			}
		}
		if !bytes.Equal(before, body) {
			t.Fatal("the body was written to")
		}
	})
}
