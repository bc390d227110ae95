package savefile

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/in/packets"
)

// Dialogs and ends of every layout come back as they were, and with the node that they came from.
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
			ev.Hash, ev.Origin, end.Origin = packets.Steering{}.CallID(ev.CallID()), uint16(n), uint16(n)
			s := tables[0].Lock(tables[0].ShardOf(ev.Hash))
			s.Apply([]*dialog.Event{&ev}, now)
			what := fmt.Sprint(id, ev.Origin, string(body))
			if n%2 == 1 {
				s.Apply([]*dialog.Event{&end}, now)
				what = fmt.Sprint(id, ev.Origin, string(gone))
			}
			s.Unlock()
			want[what] = true
		}
	}
	path := filepath.Join(t.TempDir(), "saved")
	if _, err := Save(t.Context(), SaveConfig{
		Table: tables[0], Path: path, Everything: true,
		Origin: func(n uint16) packets.Sender { return packets.Sender{Cluster: 65535, Node: 1<<31 - uint32(n)} },
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(t.Context(), LoadConfig{Table: tables[1], Path: path, Origin: func(s packets.Sender) uint16 {
		if s.Cluster != 65535 || s.Endpoint != (packets.Endpoint{}) {
			t.Fatalf("source %+v", s)
		}
		return uint16(1<<31 - s.Node)
	}}); err != nil {
		t.Fatal(err)
	}
	for i, table := range tables {
		n := 0
		var cur dialog.Cursor
		for more := true; more; {
			more = table.Scan(&cur, func(v *dialog.View) {
				if n++; !want[fmt.Sprint(v.Layout(), v.Origin(), string(v.Body()))] {
					t.Errorf("table %d has %v %q", i, v.Layout(), v.Body())
				}
			})
		}
		if n != len(want) {
			t.Errorf("table %d has %d entries, want %d", i, n, len(want))
		}
	}
}
