package member

import (
	"encoding/binary"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
)

// suspectOf returns a suspect as the table names it, and the chunk that a sync has of it.
func suspectOf(t *testing.T, callID string, hid uint32) (Suspect, []byte) {
	t.Helper()
	f := &layout.Fields{}
	f.Strings[layout.CallID], f.Strings[layout.FromTag], f.Strings[layout.ToTag] = []byte(callID), []byte("f"), []byte("t")
	f.Numbers[layout.HID], f.Numbers[layout.State] = hid, 3
	chunk, fault := f.Append(nil, layout.Bin4Typed)
	if fault != layout.NoFault {
		t.Fatal(fault)
	}
	var v layout.View
	if fault := layout.Parse(layout.Bin4Typed, chunk, &v); fault != layout.NoFault {
		t.Fatal(fault)
	}
	name := binary.LittleEndian.AppendUint32(append([]byte(nil), v.Key()...), hid)
	return Suspect{Name: dialog.Name{Layout: layout.Bin4Typed, Deletion: name}}, chunk
}

// TestDoubts: what proves that a node has dropped a call, and what doesn't.
func TestDoubts(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	kept, chunk := suspectOf(t, "kept", 1)
	gone, _ := suspectOf(t, "gone", 2)
	twin, _ := suspectOf(t, "kept", 3) // a looped call: other h_id
	complete := SyncResult{Donor: 1, Complete: true, Announced: 1}

	// suspected returns doubts about node 1, which is asked for a sync.
	suspected := func() *doubts {
		ds := &doubts{}
		ds.begin(at(0), 7, 1)
		ds.begin(at(2), 7, 1) // it is open already
		if d := ds.take(at(100)); d != nil {
			t.Errorf("a node that isn't synced is judged: %+v", d)
		}
		ds.end(at(5), 1, 3*time.Second)
		if next := ds.next(); !next.Equal(at(8)) || ds.take(at(7)) != nil {
			t.Errorf("due %v", next)
		}
		d := ds.take(at(8))
		if d == nil || !d.Since.Equal(at(-1)) || !d.Until.Equal(at(5)) || d.Cluster != 7 {
			t.Fatalf("%+v", d)
		}
		if !ds.found(at(8), d, []Suspect{kept, gone, twin}, time.Second) {
			t.Error("the node isn't asked")
		}
		ds.asked(1)
		return ds
	}
	for name, test := range map[string]struct {
		play func(*doubts)
		end  SyncResult
		want int
	}{
		"the node has one":           {func(ds *doubts) { ds.saw(chunk) }, complete, 2},
		"the node has none":          {func(*doubts) {}, complete, 3},
		"a failed sync":              {func(*doubts) {}, SyncResult{Donor: 1, Announced: 1}, 0},
		"no number was announced":    {func(*doubts) {}, SyncResult{Donor: 1, Complete: true, Announced: -1}, 0},
		"another node":               {func(ds *doubts) { ds.asked(2) }, SyncResult{Donor: 2, Complete: true, Announced: 1}, 0},
		"another node's word":        {func(*doubts) {}, SyncResult{Donor: 2, Complete: true, Announced: 1}, 0},
		"a chunk that can't be read": {func(ds *doubts) { ds.saw(chunk[:15]) }, complete, 0},
	} {
		ds := suspected()
		test.play(ds)
		if got := ds.proven(&test.end); len(got) != test.want {
			t.Errorf("%s: %d are proven to be gone, want %d", name, len(got), test.want)
		}
		if left := len(ds.list()) == 1; left != (test.want == 0) {
			t.Errorf("%s: doubts left: %v", name, ds.list())
		}
	}

	// It is asked three times. Then the suspects are only listed, until its next life.
	ds := suspected()
	now := at(8)
	for range doubtTries - 1 {
		ds.proven(&SyncResult{Donor: 1})
		d := ds.take(now.Add(time.Hour))
		if d == nil || !ds.found(now, d, []Suspect{gone}, time.Second) {
			t.Fatalf("not asked again: %+v", d)
		}
	}
	if d := ds.take(now.Add(time.Hour)); ds.found(now, d, []Suspect{gone}, time.Second) || !ds.next().IsZero() || ds.list()[0].Suspects != 1 {
		t.Errorf("%+v", ds.list())
	}
	ds.begin(at(3600), 7, 1)
	if d := ds.list()[0]; !d.Until.IsZero() || d.Suspects != 0 {
		t.Errorf("%+v", d)
	}

	// No suspects: no sync.
	ds = &doubts{}
	ds.begin(at(0), 7, 1)
	ds.end(at(1), 1, 0)
	if ds.found(at(1), ds.take(at(1)), nil, time.Second) || len(ds.list()) != 0 {
		t.Errorf("%+v", ds.list())
	}
}
