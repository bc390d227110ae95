package donor_test

import (
	"testing"
	"time"

	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/donor/donortest"
	"binrepd/userspace/wire/bin2"
)

// TestRefusedDialogs: a dialog with a socket that the requester doesn't have costs no other (W2), and where releases don't
// count, none is lost silently (W4).
func TestRefusedDialogs(t *testing.T) {
	for _, r := range donortest.Releases() {
		for _, plain := range [...]bool{true, false} {
			w := newWorld(t, r, 5)
			w.q.Sockets = []string{socket}
			for n := range 20 {
				s := socket
				if n%10 == 0 {
					s = "udp:10.9.9.9:5060"
				}
				w.apply(w.packet(layout.Created, w.body(n, 4, s)))
			}
			cfg := w.config()
			cfg.Plain = plain
			w.serve(cfg)
			w.pass(30 * time.Second)
			switch have := len(w.q.Dialogs); {
			case plain && have == 18:
				t.Errorf("%s: the plain donor does no harm in the model", r.Name)
			case !plain && (have != 18 || !w.q.Synced || w.q.Refused != 2):
				t.Errorf("%s: %d dialogs, %d refused, synced %v", r.Name, have, w.q.Refused, w.q.Synced)
			}
			if w.q.Errors != 0 {
				t.Errorf("%s: %d messages about dialogs that the node didn't know (W6)", r.Name, w.q.Errors)
			}
		}
	}
}

// TestRewrites: sockets that rules name, by address and by tag, are replaced, so that nothing is refused.
func TestRewrites(t *testing.T) {
	r := donortest.Releases()[4]
	w := newWorld(t, r, 5)
	w.q.Sockets = []string{"udp:10.0.0.2:5060", "udp:edge"}
	w.apply(w.packet(layout.Created, w.body(1, 4, socket)))
	w.apply(w.packet(layout.Created, w.body(2, 4, "udp:core")))
	cfg := w.config()
	cfg.Rewrites = donor.Rewrites{}
	for _, rule := range [...]string{socket + "=udp:10.0.0.2:5060", "udp:core=udp:edge"} {
		from, to, err := donor.ParseRewrite(rule)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Rewrites[from] = to
	}
	w.serve(cfg)
	w.pass(30 * time.Second)
	if len(w.q.Dialogs) != 2 || w.q.Refused != 0 || !w.q.Synced {
		t.Errorf("%d dialogs, %d refused", len(w.q.Dialogs), w.q.Refused)
	}
	for _, bad := range [...]string{"", "udp:10.0.0.1:5060", "udp:10.0.0.1=udp:x", "udp:10.0.0.1:0=udp:10.0.0.2:5060", "=udp:a", "udp:a="} {
		if _, _, err := donor.ParseRewrite(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestHeldBack: what the requester's releases can't take is held back, counted and named, and nothing else is.
func TestHeldBack(t *testing.T) {
	r := donortest.Releases()[0] // 2.4 knows no socket tags
	w := newWorld(t, donortest.Releases()[4], 5)
	w.apply(w.packet(layout.Created, w.body(1, 4, socket)))
	w.apply(w.packet(layout.Created, w.body(2, 4, "udp:edge")))
	w.q = donortest.NewRequester(r)
	cfg := w.config()
	cfg.Peer.Dialect, cfg.Peer.SyncVersion, cfg.Peer.Layout = r.Dialect, r.SyncVersion, r.Layout
	w.serve(cfg)
	w.pass(30 * time.Second)
	if s := w.lastRun; s.Dialogs != 1 || s.Held["socket_tag"] != 1 || len(s.Sockets) != 1 || s.Sockets[0] != "udp:edge" || len(w.q.Dialogs) != 1 || !w.q.Synced {
		t.Errorf("%+v, %d dialogs", s, len(w.q.Dialogs))
	}
}

// TestNothingToSend: an answer without any dialog has no end, which would empty a node that has calls.
func TestNothingToSend(t *testing.T) {
	for _, r := range donortest.Releases() {
		w := newWorld(t, r, 1)
		w.q.Accept(w.body(1, 4, socket))
		w.serve(w.config())
		w.pass(time.Minute)
		if len(w.q.Dialogs) != 1 || w.lastRun.Told {
			t.Errorf("%s: %d dialogs, %+v", r.Name, len(w.q.Dialogs), w.lastRun)
		}
	}
}

// TestKilled: a donor that dies in the middle leaves the node "not synced" where the release counts, with dialogs that are
// right; it asks again and is complete.
func TestKilled(t *testing.T) {
	for _, r := range donortest.Releases() {
		w := newWorld(t, r, 2)
		for n := range 500 {
			body := w.body(n, 4, socket)
			w.truth[w.q.NameOf(body)] = body
			w.apply(w.packet(layout.Created, body))
		}
		run := donor.NewRun(w.now, w.config())
		for range 50 {
			if _, err := run.Step(w.now, 1<<20, func(b []byte) error { w.deliver(b); return nil }); err != nil {
				t.Fatal(err)
			}
			w.pass(time.Millisecond)
		}
		run.Close()
		w.pass(20 * time.Second)
		if missing, ghosts, different := w.compare(); w.q.Synced || missing == 0 || ghosts+different > 0 || w.q.Running && r.Timeout {
			t.Errorf("%s: synced %v, running %v, %d missing, %d ghosts, %d different", r.Name, w.q.Synced, w.q.Running, missing, ghosts, different)
		}
		if !r.Timeout { // it waits for ever, so it is restarted
			w.q = donortest.NewRequester(r)
		}
		w.serve(w.config())
		w.pass(20 * time.Second)
		if missing, ghosts, different := w.compare(); !w.q.Synced || missing+ghosts+different > 0 {
			t.Errorf("%s: after asking again: synced %v, %d missing, %d ghosts, %d different", r.Name, w.q.Synced, missing, ghosts, different)
		}
	}
}

// TestTwoAnswers: two answers at a time spoil each other's count (W7). A Desk gives one.
func TestTwoAnswers(t *testing.T) {
	for _, desk := range [...]bool{false, true} {
		w := newWorld(t, donortest.Releases()[4], 2)
		for n := range 500 {
			w.apply(w.packet(layout.Created, w.body(n, 4, socket)))
		}
		var d donor.Desk
		for _, after := range [...]time.Duration{0, 5 * time.Millisecond} {
			w.at(after, func() {
				if !desk || d.Request(w.now, requester, 3) {
					w.at(donor.DefaultSettle, func() {
						if _, _, ok := d.Next(w.now); desk && !ok {
							t.Error("the desk doesn't begin")
						}
						w.serve(w.config())
					})
				}
			})
		}
		w.pass(60 * time.Second)
		if w.q.Synced != desk {
			t.Errorf("desk %v: synced %v", desk, w.q.Synced)
		}
	}
}

// TestDesk: what is owed, what runs, and what begins again.
func TestDesk(t *testing.T) {
	var d donor.Desk
	now := began()
	later := now.Add(time.Second)
	if !d.Request(now, 1, 3) || d.Request(now, 1, 3) || !d.Request(now, 2, 2) {
		t.Error("a repetition is a new request, or a new one isn't")
	}
	if _, _, ok := d.Next(now); ok {
		t.Error("it doesn't wait for a repetition")
	}
	if node, version, ok := d.Next(later); !ok || node != 1 || version != 3 {
		t.Error(node, version, ok)
	}
	if node, version, ok := d.Next(later); !ok || node != 2 || version != 2 || len(d.Owed()) != 0 {
		t.Error(node, version, ok)
	}
	d.Request(later, 1, 3) // joins
	d.Ended(later, 1, true)
	if _, _, ok := d.Next(later.Add(time.Hour)); ok {
		t.Error("a request that joined was answered again")
	}
	d.Request(later, 2, 2)
	d.Ended(later, 2, false)
	if node, _, ok := d.Next(later.Add(time.Second)); !ok || node != 2 {
		t.Error("a request during an answer that broke off isn't answered")
	}
	d.Ended(later, 2, false)
	if len(d.Owed()) != 0 || !d.Wake().IsZero() {
		t.Error("a broken answer is begun again unasked")
	}
	d.Request(later, 3, 3)
	d.Next(later.Add(time.Second))
	d.Defer(later.Add(5*time.Second), 3)
	if _, _, ok := d.Next(later.Add(4 * time.Second)); ok || len(d.Owed()) != 1 {
		t.Error("a deferred request is not owed, or answered too soon")
	}
	d.Forget(3)
	if len(d.Owed()) != 0 {
		t.Error("it isn't forgotten")
	}
}

// TestLostChanges: where the journal was overwritten, ends are found in the table.
func TestLostChanges(t *testing.T) {
	w := newWorld(t, donortest.Releases()[4], 2)
	for range 300 {
		w.call()
	}
	w.pass(time.Second)
	w.q = donortest.NewRequester(w.release)
	cfg := w.config()
	cfg.Tail.(*tail).lose = true
	w.serve(cfg)
	w.missLive = true
	for range 100 {
		w.end(0)
	}
	w.pass(20 * time.Second)
	if missing, ghosts, _ := w.compare(); missing+ghosts > 0 || w.lastRun.Lost == 0 {
		t.Errorf("%d missing, %d ghosts, %+v", missing, ghosts, w.lastRun)
	}
}

// TestLayoutOf has the choice of the layout for each kind of requester.
func TestLayoutOf(t *testing.T) {
	old, withSeq := bin2.Dialect{Numbering: bin2.Old, CapForm: bin2.WithoutSeq}, bin2.Dialect{Numbering: bin2.Old, CapForm: bin2.WithSeq}
	for _, test := range [...]struct {
		name    string
		version int16
		dialect bin2.Dialect
		own     layout.ID
		others  []layout.ID
		want    layout.ID
	}{
		{"unknown", 3, bin2.Dialect{}, layout.None, nil, layout.Bin4Typed},
		{"next", 3, bin2.Dialect{}, layout.Bin5, nil, layout.Bin5},
		{"3.3", 3, bin2.Dialect{}, layout.Bin4Untyped, nil, layout.Bin4Untyped},
		{"as its neighbour", 3, bin2.Dialect{}, layout.None, []layout.ID{layout.None, layout.Bin4Untyped}, layout.Bin4Untyped},
		{"2.4 became 3.6", 3, bin2.Dialect{}, layout.Bin1TwoSDP, nil, layout.Bin4Typed},
		{"3.6 became 2.4", 2, old, layout.Bin4Typed, []layout.ID{layout.Bin4Typed}, layout.Bin1TwoSDP},
		{"3.0.5", 2, old, layout.Bin2Plain, nil, layout.Bin2Plain},
		{"3.1.17", 2, withSeq, layout.None, nil, layout.Bin4Untyped},
		{"3.2.0", 2, bin2.Dialect{Numbering: bin2.New, CapForm: bin2.WithoutSeq}, layout.Bin2Routes, nil, layout.Bin2Routes},
		{"3.2.3, silent", 2, bin2.Dialect{Numbering: bin2.New, CapForm: bin2.WithoutSeq}, layout.None, nil, layout.Bin4Untyped},
		{"2.4.4", 1, old, layout.Bin1Plain, nil, layout.Bin1Plain},
		{"nonsense", 9, old, layout.Bin1Plain, nil, layout.None},
	} {
		if got := donor.LayoutOf(test.version, test.dialect, test.own, test.others); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
