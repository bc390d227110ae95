package membership_test

import (
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
)

// TestNumbers has the rules of sequence numbers: which messages are new, repeats, of a new life, or of an old one.
func TestNumbers(t *testing.T) {
	const (
		fresh = iota
		newLife
		repeated
		old
	)
	type step struct {
		seq, time int32
		relayed   bool
		want      int
	}
	for _, test := range [...]struct {
		name    string
		suspect bool // a connection was closed before the last step
		steps   []step
	}{
		{"a life", false, []step{{0, 100, false, fresh}, {1, 100, false, fresh}, {2, 101, false, fresh}, {9, 150, false, fresh}}},
		{"first seen in the middle", false, []step{{7, 100, false, fresh}, {8, 100, false, fresh}}},
		{"on two ways", false, []step{{0, 100, false, fresh}, {0, 100, true, repeated}, {1, 100, true, fresh}, {1, 100, false, repeated}}},
		{"late", false, []step{{5, 100, false, fresh}, {4, 100, true, repeated}, {3, 99, true, repeated}, {0, 90, true, repeated}}},
		{"restart", false, []step{{5, 100, false, fresh}, {0, 110, false, newLife}, {1, 110, false, fresh}}},
		{"restart seen through another node", false, []step{{5, 100, false, fresh}, {0, 110, true, newLife}, {1, 110, false, fresh}}},
		{"restart without 0", false, []step{{5, 100, false, fresh}, {2, 110, false, newLife}, {3, 110, false, fresh}}},
		{"0 after the others of its life", false, []step{{5, 100, false, fresh}, {1, 110, false, newLife}, {0, 110, true, repeated}, {2, 110, false, fresh}}},
		{"old life after the restart", false, []step{{5, 100, false, fresh}, {0, 110, false, newLife}, {6, 100, true, old}, {1, 110, false, fresh}}},
		{"two processes at the change of a second", false, []step{{6, 100, false, fresh}, {5, 101, false, repeated}, {7, 101, false, fresh}}},
		{"the same with a closed connection", true, []step{{6, 100, false, fresh}, {5, 101, false, newLife}}},
		{"restart with 0 in a life of 0", false, []step{{0, 100, false, fresh}, {0, 101, false, newLife}}},
		{"clock set back", false, []step{{5, 100, false, fresh}, {6, 50, false, fresh}, {7, 51, false, fresh}}},
		{"restart with the clock set back", true, []step{{5, 100, false, fresh}, {0, 50, false, newLife}, {1, 50, false, fresh}}},
		{"repeat of 0 with the clock set back", true, []step{{5, 100, false, fresh}, {0, 50, true, repeated}}},
		{"a number that is far too high", false, []step{{1<<31 - 1, 100, false, fresh}, {5, 102, false, newLife}, {6, 102, false, fresh}}},
		{"negative", false, []step{{-1, 100, false, repeated}, {0, 100, false, fresh}}},
	} {
		for _, kind := range [...]bin2.Kind{bin2.KindLink, bin2.KindTopology, bin2.KindCaps} {
			w := newWorld(t, config())
			for i, s := range test.steps {
				if test.suspect && i == len(test.steps)-1 || test.suspect && s.want == newLife {
					w.m.Disconnected(w.now, 1)
				}
				path, via := ids(1), origin(1)
				if s.relayed {
					path, via = ids(1, 2), origin(2)
				}
				var o membership.Outcome
				switch kind {
				case bin2.KindLink:
					o = w.receiveFrom(via, &bin2.LinkUpdate{From: from(1), Seq: s.seq, Timestamp: s.time, Neighbour: 2, Path: path})
				case bin2.KindTopology:
					o = w.receiveFrom(via, &bin2.Topology{From: from(1), Seq: s.seq, Timestamp: s.time, Path: path})
				case bin2.KindCaps:
					// The form with a number is recognised by a time of this century.
					o = w.receiveFrom(via, &bin2.CapUpdate{From: from(1), HasSeq: true, Seq: s.seq, Timestamp: 1_700_000_000 + s.time, Path: path})
				}
				_, born := w.event(membership.NewLife)
				got := fresh
				switch {
				case born:
					got = newLife
				case o.Reason == membership.Repeated:
					got = repeated
				case o.Reason == membership.OldLife:
					got = old
				case o.Verdict != membership.Handled:
					t.Fatalf("%s, %v: %+v", test.name, kind, o)
				}
				if got != s.want {
					t.Errorf("%s, %v: step %d, number %d at %d: %d, want %d", test.name, kind, i, s.seq, s.time, got, s.want)
				}
			}
		}
	}
}

// TestNewLife: a restart that shows in one kind of message resets the numbers of all kinds and the capabilities.
func TestNewLife(t *testing.T) {
	w := newWorld(t, config())
	at := int32(w.now.Unix())
	w.receive(1, capsOf(1, 7, at, true))
	w.receive(1, &bin2.Topology{From: from(1), Seq: 4, Timestamp: at, Path: ids(1)})
	w.receive(1, &bin2.LinkUpdate{From: from(1), Seq: 9, Timestamp: at, Neighbour: 2, Path: ids(1)})
	if s := w.status(1); s.CapSeq != 7 || s.TopologySeq != 4 || s.LinkSeq != 9 || s.Restarts != 0 || s.Capabilities[0].State != "Ok" {
		t.Fatalf("%+v", s)
	}
	w.receive(1, &bin2.LinkUpdate{From: from(1), Timestamp: at + 20, Neighbour: 2, Path: ids(1)})
	w.wantEvent(membership.NewLife, 1)
	if s := w.status(1); s.CapSeq != -1 || s.TopologySeq != -1 || s.LinkSeq != 0 || s.Restarts != 1 ||
		s.Capabilities[0].State != "not synced" || s.Firsthand {
		t.Errorf("%+v", s)
	}
	w.receive(1, capsOf(1, 1, at+20, true)) // number 0 was lost
	w.wantNoEvent(membership.NewLife)
	if s := w.status(1); s.CapSeq != 1 || s.Capabilities[0].State != "Ok" || s.Restarts != 1 {
		t.Errorf("%+v", s)
	}
}

// TestGaps has the signs that a node took its link to us for broken. Nothing else tells of packets that it didn't
// send.
func TestGaps(t *testing.T) {
	at := int32(began.Unix())
	topology := func(seq int32) *bin2.Topology {
		return &bin2.Topology{From: from(1), Seq: seq, Timestamp: at, Path: ids(1)}
	}
	probe := &bin2.Ping{From: from(1), WantNodes: true}
	w := newWorld(t, config())
	w.up(1)
	w.receive(1, probe)
	w.wantNoEvent(membership.Gap) // it joins
	w.receive(1, topology(0))
	w.wantNoEvent(membership.Gap)
	w.receive(1, probe)
	if e := w.wantEvent(membership.Gap, 1); e.Cause != membership.NodeProbes {
		t.Errorf("%+v", e)
	}
	w.receive(1, probe)
	w.wantNoEvent(membership.Gap) // one gap is told once
	w.receive(1, topology(1))
	w.wantNoEvent(membership.Gap)
	w.receive(1, topology(2))
	if e := w.wantEvent(membership.Gap, 1); e.Cause != membership.NodeJoined {
		t.Errorf("%+v", e)
	}
	w.receive(1, &bin2.LinkUpdate{From: from(1), Timestamp: at, Neighbour: me, Down: true, Path: ids(1)})
	if e := w.wantEvent(membership.Gap, 1); e.Cause != membership.NodeSaysDown || w.status(1).LinkState != membership.Up {
		t.Errorf("%+v", e)
	}
	// A packet that was on its way doesn't make the link settled, one that comes later does.
	w.receive(1, probe)
	w.receivePacket(origin(1), modulePacket(t, to(1, me)))
	w.receive(1, probe)
	w.wantNoEvent(membership.Gap)
	w.now = w.now.Add(3 * time.Second)
	w.receivePacket(origin(1), modulePacket(t, to(1, me)))
	w.receive(1, probe)
	w.wantEvent(membership.Gap, 1)
	// A topology that another node passes on says nothing about the link to us.
	w.receive(1, topology(3))
	w.receiveFrom(origin(2), &bin2.Topology{From: from(1), Seq: 4, Timestamp: at, Path: ids(1, 2)})
	w.wantNoEvent(membership.Gap)
}
