package engine_test

import (
	"log/slog"
	"net/netip"
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/engine"
)

// kept notes kinds and layouts of what is handed on.
type kept struct{ list []changes.Change }

func (k *kept) Forward(list []changes.Change) { k.list = append(k.list, list...) }

// TestImport: an import takes in what isn't here, leaves alone what is, and what has ended, and is handed on as an update.
func TestImport(t *testing.T) {
	for _, id := range []layout.ID{layout.UDP, layout.Bin1TwoSDP, layout.Bin4Typed} {
		t.Run(id.String(), func(t *testing.T) {
			table, err := dialog.NewTable(dialog.Config{Shards: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			out := &kept{}
			e, err := engine.New(engine.Config{
				Table: table, Outlet: out, Log: slog.New(slog.DiscardHandler),
				Intakes: packets.Listeners([]netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:5556")}),
			})
			if err != nil {
				t.Fatal(err)
			}
			body := func(start, state uint32) []byte {
				var f layout.Fields
				f.Strings[layout.CallID], f.Strings[layout.FromTag], f.Strings[layout.ToTag] = []byte("a@x"), []byte("f"), []byte("t")
				f.Numbers[layout.Start], f.Numbers[layout.State], f.Numbers[layout.HID] = start, state, 7
				f.Numbers[layout.Timeout] = 4_000_000_000
				b, fault := f.Append(nil, id)
				if fault != layout.NoFault {
					t.Fatal(fault)
				}
				return b
			}
			play := func(what string, b []byte, want dialog.Outcome, handedOn int) {
				t.Helper()
				got, fault := e.Import(id, b, 1, 0, table.BeginSync())
				if got != want || fault != layout.NoFault || len(out.list) != handedOn {
					t.Errorf("%s: %s, %s, %d handed on", what, got, fault, len(out.list))
				}
			}
			play("new", body(100, 4), dialog.Applied, 1)
			if c := out.list[0]; c.Kind != dialog.Update || string(c.Body()) != string(body(100, 4)) {
				t.Errorf("handed on: %+v", c)
			}
			play("again", body(100, 4), dialog.Duplicate, 1)
			play("higher state", body(100, 3), dialog.Duplicate, 1)
			play("an older call", body(99, 4), dialog.Duplicate, 1)
			play("a newer call", body(101, 4), dialog.Applied, 2)
			var name dialog.Name
			table.Get(1, []byte("a@x"), func(v *dialog.View) bool { name = v.Name(); return false })
			if !e.End(1, name, func(*dialog.View) bool { return true }) {
				t.Error("not ended")
			}
			play("ended", body(101, 4), dialog.Late, 3)
			if _, fault := e.Import(id, []byte("no dialog"), 1, 0, 0); fault == layout.NoFault {
				t.Error("garbage was taken")
			}
		})
	}
}
