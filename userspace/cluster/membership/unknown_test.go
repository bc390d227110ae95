package membership_test

import (
	"slices"
	"testing"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/wire/bin2"
)

// numberings returns those of the CAP_UPDATEs that go out within d.
func (w *world) numberings(d time.Duration) (list []bin2.Numbering) {
	w.t.Helper()
	for end := w.now.Add(d); w.m.Next().Before(end); {
		for _, s := range w.tick(max(w.m.Next().Sub(w.now), 0)) {
			if s.Kind == bin2.KindCaps {
				_, numbering, err := bin2.KindOf(bin2.Packet(s.Packet), 0)
				if err != nil {
					w.t.Fatal(err)
				}
				list = append(list, numbering)
			}
		}
		w.receive(1, &bin2.Pong{From: from(1)})
	}
	return list
}

// TestCapabilitiesWaitForTheRelease: a node that shows its release at once, as every node does that sees the link come
// up, gets our capabilities once, in its own form. OpenSIPS 2.4 logs a warning for those of 3.2.
func TestCapabilitiesWaitForTheRelease(t *testing.T) {
	c := config()
	c.Peers = c.Peers[:1]
	w := newWorld(t, c)
	w.up(1)
	if len(w.sent(bin2.KindCaps, 1)) != 0 {
		t.Fatal("capabilities went out before the release was known")
	}
	m := capsOf(1, 0, 0, true)
	m.HasSeq = false
	w.receivePacket(origin(1), packet(t, m, bin2.Dialect{Numbering: bin2.Old, CapForm: bin2.WithoutSeq}))
	if len(w.out.Sends) != 1 {
		t.Fatalf("%+v", w.out.Sends)
	}
	if _, numbering, _ := bin2.KindOf(bin2.Packet(w.out.Sends[0].Packet), 0); numbering != bin2.Old {
		t.Errorf("numbering %v", numbering)
	}
	if again := w.numberings(time.Minute); len(again) != 0 {
		t.Errorf("sent again: %v", again)
	}
}

// TestANodeThatShowsNothingIsAsked: OpenSIPS 2.4 that takes the link for up all the time, because we were away for a
// moment, announces nothing. It is asked in both forms, a few times, and until it answers it is no donor: it drops a
// sync request of 3.2 without a word.
func TestANodeThatShowsNothingIsAsked(t *testing.T) {
	w := newWorld(t, config())
	w.up(1)
	w.up(2)
	w.speaks(2)
	m := capsOf(2, 0, int32(began.Unix()), true)
	m.Nodes = m.Nodes.Append(1, bin2.Caps{}.Append(dialogs, true))
	w.receive(2, m)
	if got := w.m.Synced(dialogs); !slices.Equal(got, []int32{2}) {
		t.Errorf("donors while the release of node 1 isn't known: %v", got)
	}

	c := config()
	c.Peers = c.Peers[:1]
	w = newWorld(t, c)
	w.up(1)
	if got := w.numberings(time.Minute); !slices.Equal(got, []bin2.Numbering{bin2.New, bin2.Old, bin2.New, bin2.Old}) {
		t.Fatalf("asked in the forms %v", got)
	}
	m = capsOf(1, 0, 0, true)
	m.HasSeq = false
	w.receivePacket(origin(1), packet(t, m, bin2.Dialect{Numbering: bin2.Old, CapForm: bin2.WithoutSeq}))
	w.wantEvent(membership.DialectLearned, 1)
	if got := w.m.Synced(dialogs); !slices.Equal(got, []int32{1}) {
		t.Errorf("donors: %v", got)
	}
	w.out.Reset()
	if err := w.m.RequestSync(w.now, 1, dialogs, &w.out); err != nil {
		t.Fatal(err)
	}
	p := bin2.Packet(w.out.Sends[0].Packet)
	if kind, _, _ := bin2.KindOf(p, bin2.Old); kind != bin2.KindSyncRequest || p.Version() != 2 {
		t.Errorf("%v of version %d", kind, p.Version())
	}
}
