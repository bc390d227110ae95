package donor_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/changes"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/donor/donortest"
	"binrepd/userspace/wire/bin1"
)

// TestPush sends to a node of each release that has lost its calls and doesn't ask, under load. It has all calls then.
func TestPush(t *testing.T) {
	for _, r := range donortest.Releases() {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, r, 11)
			w.load(6*time.Second, 50)
			w.pass(2 * time.Second)
			w.q = donortest.NewRequester(r) // it is up, and empty
			cfg := w.config()
			cfg.Push = true
			w.serve(cfg)
			w.pass(30 * time.Second)
			for !w.run.Done() {
				w.pass(time.Second)
			}
			missing, ghosts, different := w.compare()
			if missing+ghosts+different > 0 || w.q.Synced || w.q.Chunks > 0 || len(w.q.Malformed) > 0 || w.q.Reset {
				t.Fatalf("of %d calls %d missing, %d ghosts, %d different; %v\n%+v", len(w.truth), missing, ghosts, different, w.q.Malformed, w.lastRun)
			}
		})
	}
}

// TestPushLowersNoState: a dialog that is in state 3 here doesn't put one back that the node has in state 4.
func TestPushLowersNoState(t *testing.T) {
	w := newWorld(t, donortest.Releases()[4], 5)
	w.apply(w.packet(layout.Created, w.body(1, 3, socket)))
	w.apply(w.packet(layout.Created, w.body(2, 3, socket)))
	has := w.body(1, 4, socket)
	w.q.Dialogs[w.q.NameOf(has)] = has
	cfg := w.config()
	cfg.Push = true
	w.serve(cfg)
	w.pass(30 * time.Second)
	if len(w.q.Dialogs) != 2 || !bytes.Equal(w.q.Dialogs[w.q.NameOf(has)], has) {
		t.Errorf("%d dialogs, %x", len(w.q.Dialogs), w.q.Dialogs[w.q.NameOf(has)])
	}
}

// TestPushChooses: a filter leaves calls out, with their changes, and a dry run counts without a repair.
func TestPushChooses(t *testing.T) {
	for _, dry := range [...]bool{false, true} {
		w := newWorld(t, donortest.Releases()[4], 5)
		for n := range 4 {
			w.apply(w.packet(layout.Created, w.body(n+1, 4, socket)))
		}
		cfg := w.config()
		cfg.Push, cfg.DryRun = true, dry
		cfg.Filter = func(_ uint16, id layout.ID, body []byte) bool {
			var v layout.View
			return layout.Parse(id, body, &v) == layout.NoFault && string(v.Bytes(layout.CallID)) != "call-3"
		}
		w.serve(cfg)
		w.pass(30 * time.Second)
		if s := w.lastRun; s.Visited != 4 || s.Filtered != 1 || s.Dialogs != 3 || len(w.q.Dialogs) != 3 || s.Told || s.Failed != "" {
			t.Errorf("dry %v: %+v, %d dialogs", dry, s, len(w.q.Dialogs))
		}
	}
}

// udpCall returns a call of generation 1 that is in progress, with any content.
func udpCall(rng *rand.Rand, now time.Time, state uint32, n int) []byte {
	var v layout.View
	for {
		b := layouttest.Dialog(rng, layout.UDP)
		if layout.Parse(layout.UDP, b, &v) != layout.NoFault || len(v.Bytes(layout.CallerSocket)) == 0 || len(v.Bytes(layout.CalleeSocket)) == 0 {
			continue
		}
		if b, _ = v.AppendWith(nil, layout.CallID, fmt.Appendf(nil, "udp-%d", n)); layout.Parse(layout.UDP, b, &v) != layout.NoFault {
			continue
		}
		v.SetNumber(layout.State, state)
		v.SetNumber(layout.Start, uint32(now.Unix()))
		v.SetNumber(layout.Timeout, uint32(now.Unix())+3600)
		return b
	}
}

// applyUDP plays an event of generation 1 on the donor's table, and returns the change, whose stamp is that of a proxy here.
func (w *world) applyUDP(kind dialog.Kind, body []byte) (c changes.Change, changed bool) {
	packet := bin1.Append(nil, kind, body)
	var ev dialog.Event
	if v := bin1.Decode(packet, &ev); v != bin1.Dialog {
		w.t.Fatal(v)
	}
	ev.Hash, ev.Origin = w.hash.CallID(ev.CallID()), 2
	s := w.table.Lock(w.table.ShardOf(ev.Hash))
	defer s.Unlock()
	s.Apply([]*dialog.Event{&ev}, w.now.Unix())
	bin1.Describe(&c, packet, &ev)
	return c, ev.Changed()
}

// TestUDPCallsInACluster brings calls of UDP proxies to nodes of each release, live and by a sync: the nodes take them, what
// the table of conversions calls kept is kept, and their ends end them.
func TestUDPCallsInACluster(t *testing.T) {
	for _, r := range donortest.Releases() {
		for _, way := range [...]string{"live", "sync", "push"} {
			t.Run(r.Name+" "+way, func(t *testing.T) {
				w := newWorld(t, r, 3)
				cfg := w.config()
				live := donor.NewLive(cfg.Peer, nil)
				calls := map[string][]byte{}
				var packet []byte
				tell := func(kind dialog.Kind, body []byte) {
					c, changed := w.applyUDP(kind, body)
					if !changed || way != "live" {
						return
					}
					var reason donor.Reason
					if packet, reason = live.Append(packet[:0], &c, uint32(w.now.Unix())); reason == donor.Passed {
						w.q.Receive(w.now, packet)
					} else if kind != dialog.Create {
						t.Fatalf("%v: %v", kind, reason)
					}
				}
				var v, is layout.View
				for n := range 100 {
					body := udpCall(w.rng, w.now, uint32(3+n%2), n)
					layout.Parse(layout.UDP, body, &v)
					if n%3 == 0 {
						v.SetNumber(layout.HID, 0) // it has to be chosen
					}
					calls[string(v.Bytes(layout.CallID))] = body
					tell(dialog.Create, body)
				}
				cfg.Push = way == "push"
				if way != "live" {
					w.serve(cfg)
					w.pass(30 * time.Second)
					if s := w.lastRun; s.Converted == 0 || s.Dialogs != len(w.q.Dialogs) {
						t.Errorf("%+v", s)
					}
				}
				if len(w.q.Dialogs) < 50 || w.q.Refused > 0 || len(w.q.Malformed) > 0 {
					t.Fatalf("%d dialogs, %d refused, %v", len(w.q.Dialogs), w.q.Refused, w.q.Malformed)
				}
				for _, body := range w.q.Dialogs {
					layout.Parse(r.Layout, body, &is)
					layout.Parse(layout.UDP, calls[string(is.Bytes(layout.CallID))], &v)
					for f := range layout.NumFields {
						if layout.FateOf(f, layout.UDP, r.Layout) == layout.Kept && (!bytes.Equal(is.Bytes(f), v.Bytes(f)) || is.Number(f) != v.Number(f)) {
							t.Fatalf("%v is %q, was %q", f, is.Bytes(f), v.Bytes(f))
						}
					}
					if hid := v.Number(layout.HID); is.Number(layout.HID) == 0 || hid != 0 && is.Number(layout.HID) != hid {
						t.Fatalf("h_id %d is %d", hid, is.Number(layout.HID))
					}
				}
				if way == "live" {
					for _, body := range calls {
						layout.Parse(layout.UDP, body, &v)
						tell(dialog.Delete, v.Key())
					}
					if len(w.q.Dialogs) > 0 {
						t.Errorf("%d ghosts", len(w.q.Dialogs))
					}
				}
			})
		}
	}
}

// TestLiveAllocatesNothing: neither do dialogs that are converted, nor ends.
func TestLiveAllocatesNothing(t *testing.T) {
	for _, r := range donortest.Releases() {
		w := newWorld(t, r, 3)
		live := donor.NewLive(w.config().Peer, nil)
		body := udpCall(w.rng, w.now, 4, 1)
		create, _ := w.applyUDP(dialog.Create, body)
		var v layout.View
		layout.Parse(layout.UDP, body, &v)
		end, _ := w.applyUDP(dialog.Delete, v.Key())
		packet := make([]byte, 0, 1<<16)
		now := uint32(w.now.Unix())
		if n := testing.AllocsPerRun(20, func() {
			live.Append(packet, &create, now)
			live.Append(packet, &end, now)
		}); n > 0 {
			t.Errorf("%s: %v allocations", r.Name, n)
		}
	}
}

// TestLayoutFor: the layout of a node that has not sent any dialog is never guessed.
func TestLayoutFor(t *testing.T) {
	releases := donortest.Releases()
	for i, r := range releases {
		if id := donor.LayoutFor(r.Dialect, layout.None, nil); id == layout.None {
			t.Errorf("%s has asked for dialogs before", r.Name)
		}
		d := r.Dialect
		d.SyncVersion = 0
		if id := donor.LayoutFor(d, layout.None, []layout.ID{layout.None}); id != layout.None {
			t.Errorf("%s: guessed %v", r.Name, id)
		}
		if id := donor.LayoutFor(d, r.Layout, nil); id != r.Layout {
			t.Errorf("%s: %v", r.Name, id)
		}
		if id := donor.LayoutFor(d, releases[len(releases)-1-i].Layout, nil); r.Name == "2.4" && id != layout.None {
			t.Errorf("%s, in the place of another release: %v", r.Name, id)
		}
		if id := donor.LayoutOfRelease(r.Name); id != r.Layout {
			t.Errorf("release %s: %v", r.Name, id)
		}
	}
	if id := donor.LayoutOfRelease("1.11"); id != layout.None {
		t.Error(id)
	}
}
