package control

import (
	"fmt"
	"net/netip"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

// TestFind returns every dialog of the Call-ID in any state, none that has ended, none of another Call-ID, and no more
// than requested.
func TestFind(t *testing.T) {
	table, err := dialog.NewTable(dialog.Config{Shards: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	b := &Backend{Table: table, Steering: steering, Origin: func(uint16) netip.AddrPort { return netip.MustParseAddrPort("192.0.2.9:5555") }}
	packet := func(kind dialog.Kind, d dialog.Details) []byte {
		if kind == dialog.Delete {
			return bin1.Append(nil, kind, d.AppendKey(nil))
		}
		return bin1.Append(nil, kind, d.AppendPacked(nil))
	}
	const callID = "caf\xe9@x"
	for i := range 10 {
		apply(t, table, packet(dialog.Update, dialog.Details{
			CallID: callID, FromTag: fmt.Sprint(i), ToTag: "t", State: dialog.Confirmed, Timeout: testNow + 10,
		}))
	}
	apply(t, table,
		packet(dialog.Update, dialog.Details{CallID: callID, FromTag: "early", State: dialog.Early, Timeout: testNow + 10}),
		packet(dialog.Update, dialog.Details{CallID: "caf", FromTag: "a", ToTag: "t", State: dialog.Confirmed, Timeout: testNow + 10}),
		packet(dialog.Delete, dialog.Details{CallID: callID, FromTag: "3", ToTag: "t"}))

	find := func(callID string, most int) (found []Dialog, total int) {
		total = b.Find(callID, func(d *Dialog) bool {
			found = append(found, *d)
			return len(found) < most
		})
		return found, total
	}
	all, total := find(callID, 100)
	if len(all) != 10 || total != 10 {
		t.Fatalf("%d found, %d in all, want 10: nine live and one early", len(all), total)
	}
	early := 0
	for _, d := range all {
		if d.CallID != callID || d.CallerTag == "3" || d.Origin != "192.0.2.9:5555" {
			t.Errorf("found %+v", d)
		}
		if d.State == uint8(dialog.Early) {
			early++
		}
	}
	if early != 1 {
		t.Errorf("%d early ones, want 1", early)
	}
	if some, total := find(callID, 4); len(some) != 4 || total != 10 {
		t.Errorf("%d found, %d in all, want 4 of 10", len(some), total)
	}
	if none, total := find("nobody", 4); len(none) != 0 || total != 0 {
		t.Errorf("%d found, %d in all, of a Call-ID that isn't there", len(none), total)
	}
}
