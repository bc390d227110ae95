package appliance

import (
	"context"
	"fmt"
	"maps"
	"net"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin2/bin2test"
)

// entries returns all that a table holds, by what a deletion says: the dialogs in their layouts, and the nodes that made them.
func (r *running) entries() map[string]string {
	all := map[string]string{}
	var cur dialog.Cursor
	for more := true; more; {
		more = r.table.Scan(&cur, func(v *dialog.View) {
			sender := r.engine.Sender(v.Origin())
			held := fmt.Sprintf("%v %v node %d of %d", v.State(), v.Layout(), sender.Node, sender.Cluster)
			if !v.Tombstone() {
				held += fmt.Sprintf(" %q", v.Body())
			}
			all[string(v.AppendName(nil))] = held
		})
	}
	return all
}

// feedCapture sends the packets of a capture that are for node 3 to the first listen address, and waits until they are counted.
func (r *running) feedCapture(c *bin2test.Capture) {
	r.t.Helper()
	to, err := net.Dial("udp", r.Listening()[0].String())
	if err != nil {
		r.t.Fatal(err)
	}
	defer to.Close()
	before, sent := r.Status().Seen, uint64(0)
	for i := range c.Packets {
		p := c.Packets[i].Packet
		if trailer, ok := p.Trailer(); !ok || trailer.Destination != 3 {
			continue
		}
		if _, err := to.Write(p); err != nil {
			r.t.Fatal(err)
		}
		if sent++; sent%100 == 0 {
			r.awaitSeen(before + sent)
		}
	}
	r.awaitSeen(before + sent)
}

func (r *running) awaitSeen(n uint64) {
	r.t.Helper()
	awaitStatus(r.t, r, fmt.Sprintf("%d packets", n), func(s *control.Status) bool { return s.Seen >= n })
}

// TestDialogsOfGeneration2BetweenAppliances: an appliance beside the proxies feeds a central one, live and by a sync. Layout, node
// and content of each dialog stay what they are.
func TestDialogsOfGeneration2BetweenAppliances(t *testing.T) {
	for _, name := range []string{"2.4/S1", "3.6/S1", "3.6/S2", "4.0/S1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			capture := bin2test.Load(t, name)
			central, later := start(t, testConfig()), start(t, testConfig())
			c := testConfig()
			c.Replicate = []egress.Destination{{Address: central.Listening()[0].String()}}
			edge := start(t, c)
			awaitStatus(t, edge, "the central one to answer", func(s *control.Status) bool { return s.Destinations[0].Peer })
			edge.feedCapture(capture)
			want := edge.entries()
			if len(want) == 0 {
				t.Fatal("no dialogs")
			}
			s := awaitStatus(t, edge, "an empty queue", func(s *control.Status) bool { return s.Destinations[0].Queued == 0 })
			if d := s.Destinations[0]; d.Sent == 0 || d.NeedsSync != "" || sumOf(d.Held) > 0 {
				t.Errorf("%+v", d)
			}
			sameEntries(t, "live", central, want)
			sum, err := edge.Sync(context.Background(), control.SyncRequest{To: later.Listening()[0].String(), Ends: control.EndsAll}, func(control.SyncProgress) {})
			if err != nil || !sum.Complete || sum.Arrived != control.ArrivedAll || sumOf(sum.Held) > 0 {
				t.Errorf("%+v, %v", sum, err)
			}
			sameEntries(t, "by a sync", later, want)
		})
	}
}

func sumOf(held map[string]uint64) (n uint64) {
	for _, k := range held {
		n += k
	}
	return n
}

// sameEntries waits until the table holds what is wanted.
func sameEntries(t *testing.T, what string, r *running, want map[string]string) {
	t.Helper()
	got := r.entries()
	for end := time.Now().Add(20 * time.Second); !maps.Equal(got, want) && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		got = r.entries()
	}
	if maps.Equal(got, want) {
		return
	}
	t.Errorf("%s: %d entries, want %d", what, len(got), len(want))
	shown := 0
	for key, w := range want {
		if got[key] != w && shown < 2 {
			shown++
			t.Errorf("%s: %q is\n%s, want\n%s", what, key, got[key], w)
		}
	}
}
