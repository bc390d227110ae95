package layout_test

import (
	"math/rand/v2"
	"testing"

	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
)

// A body of each layout fits this layout only, among those of its version; empty lists of version 4 fit both.
func TestFitting(t *testing.T) {
	every(t, 200, func(t *testing.T, rng *rand.Rand, id layout.ID, body []byte) {
		fits := layout.Fitting(id.Version(), body)
		var v layout.View
		layout.Parse(id, body, &v)
		if id.Version() == 4 && len(v.Bytes(layout.Values)) == 0 && len(v.Bytes(layout.Profiles)) == 0 {
			if fits != layout.OfVersion(4) {
				t.Fatalf("without lists: %b", fits)
			}
		} else if fits.Len() != 1 || !fits.Has(id) {
			t.Fatalf("fits %b: %q", fits, body)
		}
	})
}

// A Detector reads every body of every layout, and knows the layout after the first that tells.
func TestDetector(t *testing.T) {
	for _, id := range layouttest.Layouts() {
		var d layout.Detector
		var v layout.View
		rng := rand.New(rand.NewPCG(5, uint64(id)))
		if is, decided := d.Layout(); is != layout.None || decided {
			t.Fatalf("%v before any body", is)
		}
		for i := range 100 {
			body := layouttest.Dialog(rng, id)
			if fault := d.Parse(id.Version(), body, &v); fault != layout.NoFault {
				t.Fatalf("%v, body %d: %v", id, i, fault)
			}
			if is, decided := d.Layout(); decided && (is != id || v.Layout() != id) {
				t.Fatalf("%v taken for %v", id, is)
			}
		}
		if is, decided := d.Layout(); !decided || is != id || d.Changes() != 0 {
			t.Errorf("%v: %v, %v, %d changes", id, is, decided, d.Changes())
		}
	}
}

func TestDetectorFollowsUpgrades(t *testing.T) {
	var d layout.Detector
	var v layout.View
	rng := rand.New(rand.NewPCG(5, 5))
	parse := func(id layout.ID, body []byte) layout.Fault {
		return d.Parse(id.Version(), body, &v)
	}
	full := func(id layout.ID) []byte { // with a list, which tells the form
		for {
			body := layouttest.Dialog(rng, id)
			if layout.Fitting(id.Version(), body).Len() == 1 {
				return body
			}
		}
	}
	for i, id := range [...]layout.ID{
		layout.Bin1Plain, layout.Bin1TwoSDP, layout.Bin1FourSDP, layout.Bin2Plain, layout.Bin2Routes, layout.Bin3, layout.Bin4Untyped,
		layout.Bin4Typed, layout.Bin5, layout.Bin4Typed, layout.Bin4Untyped,
	} {
		if fault := parse(id, full(id)); fault != layout.NoFault {
			t.Fatalf("%v: %v", id, fault)
		}
		if is, decided := d.Layout(); is != id || !decided || v.Layout() != id || d.Changes() != uint32(i) {
			t.Fatalf("%v: %v, %v, %d changes", id, is, decided, d.Changes())
		}
	}
	d.Message(4, layout.Value)
	if is, decided := d.Layout(); is != layout.Bin4Typed || !decided {
		t.Errorf("after a VALUE: %v, %v", is, decided)
	}
}

// Before anything tells typed lists from untyped ones, both are left, and the later is in force.
func TestDetectorUndecided(t *testing.T) {
	var f layout.Fields
	layouttest.Fill(rand.New(rand.NewPCG(1, 2)), layout.Bin4Typed, &f)
	f.Strings[layout.Values], f.Strings[layout.Profiles] = nil, nil
	body, _ := f.Append(nil, layout.Bin4Typed)
	var d layout.Detector
	var v layout.View
	d.Parse(4, body, &v)
	if is, decided := d.Layout(); is != layout.Bin4Typed || decided || d.Candidates() != layout.OfVersion(4) {
		t.Fatalf("%v, %v", is, decided)
	}
	f.Strings[layout.Profiles] = []byte("caller#alice|")
	body, _ = f.Append(nil, layout.Bin4Typed)
	d.Parse(4, body, &v)
	if is, decided := d.Layout(); is != layout.Bin4Untyped || !decided || v.Layout() != layout.Bin4Untyped || d.Changes() != 0 {
		t.Fatalf("%v, %v, %d changes", is, decided, d.Changes())
	}
}

func TestDetectorRefuses(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	var v layout.View
	for _, c := range [...]struct {
		version layout.Version
		want    layout.Fault
	}{
		{0, layout.CutShort}, {1, layout.NoLayout}, {2, layout.NoLayout}, {3, layout.CutShort}, {4, layout.CutShort}, {5, layout.CutShort},
		{6, layout.NoSuchVersion}, {255, layout.NoSuchVersion},
	} {
		var d layout.Detector
		if fault := d.Parse(c.version, []byte{1}, &v); fault != c.want {
			t.Errorf("version %d: %v, want %v", c.version, fault, c.want)
		}
		if is, decided := d.Layout(); is != layout.None || decided {
			t.Errorf("version %d: learned %v of a refused body", c.version, is)
		}
	}
	var d layout.Detector
	body := layouttest.Dialog(rng, layout.Bin1TwoSDP)
	d.Parse(1, body, &v)
	if fault := d.Parse(1, body[:len(body)-1], &v); fault != layout.CutShort {
		t.Errorf("a body cut short of a known layout: %v", fault)
	}
	if is, decided := d.Layout(); is != layout.Bin1TwoSDP || !decided || d.Changes() != 0 {
		t.Errorf("%v, %v after a bad body", is, decided)
	}
}
