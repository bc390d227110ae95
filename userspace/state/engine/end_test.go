package engine

import (
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestEnd ends dialogs by hand: here and at the outlet, and only while there is reason to.
func TestEnd(t *testing.T) {
	out := &outlet{}
	r := newRig(t, 1, func(c *Config) { c.Outlet = out })
	proxy := bin1test.NewProxy(1, bin1test.Options{Now: testNow, Calls: 2})
	r.start(t)
	for n := range uint64(2) {
		packet := proxy.AppendPacket(nil, n, bin1test.Create)
		r.sources[0].Feed(from("192.0.2.7:5555", 0, packet))
	}
	before := r.finish(t)
	live := contents(r.table)
	if len(live) != 2 || len(out.packets) != 2 {
		t.Fatalf("%d dialogs, %d packets", len(live), len(out.packets))
	}
	key := dialog.Packed(live[0].AppendKey(nil))
	name := dialog.Name{Layout: layout.UDP, Deletion: key}
	hash := steering.CallID([]byte(live[0].CallID))
	if r.End(hash, name, func(*dialog.View) bool { return false }) {
		t.Error("ended although there was no reason any more")
	}
	var seen dialog.Details
	yes := func(v *dialog.View) bool { seen = v.Body().Details(); return true }
	if !r.End(hash, name, yes) || seen != live[0] {
		t.Errorf("not ended, or another one: %+v", seen)
	}
	if r.End(hash, name, yes) {
		t.Error("ended twice")
	}
	unknown := (&dialog.Details{CallID: "unknown", FromTag: "a", ToTag: "b"}).AppendKey(nil)
	if r.End(steering.CallID([]byte("unknown")), dialog.Name{Layout: layout.UDP, Deletion: unknown}, yes) {
		t.Error("ended what isn't there")
	}
	if got := contents(r.table); len(got) != 1 || got[0] != live[1] {
		t.Errorf("left: %+v", got)
	}
	s := r.Status()
	if s.Ended != 1 || s.Table.Tombstones != 1 || s.Total() != before.Total() {
		t.Errorf("%d ended, %d tombstones, account %+v", s.Ended, s.Table.Tombstones, s.Total())
	}
	var ev dialog.Event
	if len(out.packets) != 3 || bin1.Decode([]byte(out.packets[2]), &ev) != bin1.Dialog || ev.Kind != dialog.Delete || string(ev.Key) != string(key) {
		t.Errorf("the outlet got %d packets, the last %q", len(out.packets), out.packets[len(out.packets)-1])
	}
}
