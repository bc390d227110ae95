package savefile

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/in/packets"
)

// Dialogs and ends of every layout come back as they were.
func TestEveryLayoutIsSaved(t *testing.T) {
	tables := [2]*dialog.Table{fuzzTable(t), fuzzTable(t)}
	rng := rand.New(rand.NewPCG(1, 2))
	now := time.Now().Unix()
	want := map[string]bool{}
	for _, id := range layouttest.Layouts() {
		for n := range 10 {
			var f layout.Fields
			layouttest.Fill(rng, id, &f)
			f.Numbers[layout.Timeout] = uint32(now) + 3600
			body, fault := f.Append(nil, id)
			var v layout.View
			if fault == layout.NoFault {
				fault = layout.Parse(id, body, &v)
			}
			if fault != layout.NoFault {
				t.Fatal(fault)
			}
			var ev, end dialog.Event
			ev.SetSnapshot(&v, dialog.Create)
			m := layout.Deletion{
				CallID: v.Bytes(layout.CallID), FromTag: v.Bytes(layout.FromTag), ToTag: v.Bytes(layout.ToTag), HID: v.Number(layout.HID),
			}
			gone, _ := m.Append(nil, id.Version())
			if fault := end.SetDeletion(id, gone); fault != layout.NoFault {
				t.Fatal(fault)
			}
			ev.Hash = packets.Steering{}.CallID(ev.CallID())
			s := tables[0].Lock(tables[0].ShardOf(ev.Hash))
			s.Apply([]*dialog.Event{&ev}, now)
			what := id.String() + string(body)
			if n%2 == 1 {
				s.Apply([]*dialog.Event{&end}, now)
				what = id.String() + string(gone)
			}
			s.Unlock()
			want[what] = true
		}
	}
	path := filepath.Join(t.TempDir(), "saved")
	if _, err := Save(t.Context(), SaveConfig{Table: tables[0], Path: path, Everything: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(t.Context(), LoadConfig{Table: tables[1], Path: path}); err != nil {
		t.Fatal(err)
	}
	for i, table := range tables {
		n := 0
		var cur dialog.Cursor
		for more := true; more; {
			more = table.Scan(&cur, func(v *dialog.View) {
				if n++; !want[v.Layout().String()+string(v.Body())] {
					t.Errorf("table %d has %v %q", i, v.Layout(), v.Body())
				}
			})
		}
		if n != len(want) {
			t.Errorf("table %d has %d entries, want %d", i, n, len(want))
		}
	}
}
