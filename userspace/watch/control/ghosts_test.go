package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/cluster/member"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
)

// serveBackend runs a server over a table and b.
func serveBackend(t *testing.T, b *Backend) (*Client, *dialog.Table) {
	t.Helper()
	table, err := dialog.NewTable(dialog.Config{Shards: 4})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "control.sock")
	b.Table, b.Steering = table, steering
	s, err := Listen(path, *b, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
		table.Close()
	})
	return NewClient(path), table
}

// applyFrom applies a snapshot of a dialog at a time, as if from a source.
func applyFrom(t *testing.T, table *dialog.Table, d dialog.Details, origin uint16, now int64) {
	t.Helper()
	var ev dialog.Event
	if v := bin1.Decode(bin1.Append(nil, dialog.Create, d.AppendPacked(nil)), &ev); v != bin1.Dialog {
		t.Fatal(v)
	}
	ev.Hash, ev.Origin = steering.CallID([]byte(d.CallID)), origin
	s := table.Lock(table.ShardOf(ev.Hash))
	s.Apply([]*dialog.Event{&ev}, now)
	s.Unlock()
	if !ev.Outcome.Changed() {
		t.Fatalf("%s: %s", d.CallID, ev.Outcome)
	}
}

func TestGhosts(t *testing.T) {
	var ended []string
	refuse := "" // the Call-ID of a dialog that changes at the last moment
	backend := Backend{
		Now: func() time.Time { return time.Unix(testNow, 0) },
		Origin: func(n uint16) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 5555)
		},
	}
	backend.End = func(name dialog.Name, still func(*dialog.View) bool) bool {
		callID, rest := dialog.Packed(name.Deletion).Part()
		from, _ := rest.Part()
		if string(callID) == refuse {
			return false
		}
		ended = append(ended, string(callID)+" "+string(from))
		return true
	}
	c, table := serveBackend(t, &backend)
	call := func(id, from string, age uint32) dialog.Details {
		return dialog.Details{
			CallID: id, FromTag: from, ToTag: "to", State: dialog.Confirmed, Start: testNow - age, Timeout: testNow + 3600,
			CallerSocket: "udp:192.0.2.1:5060", CalleeSocket: "udp:192.0.2.1:5060",
		}
	}
	applyEnded(t, table, 1, 100) // 10 times that is 1,000 s
	// 999 ordinary calls of 1 to 199 s.
	for i := range 999 {
		age := uint32(1 + i%199)
		applyFrom(t, table, call(fmt.Sprintf("ordinary %d", i), "a", age), 1, testNow-int64(age))
	}
	applyFrom(t, table, call("silent", "a", 5000), 1, testNow-5000)
	applyFrom(t, table, call("nearly silent", "a", 900), 1, testNow-900)
	applyFrom(t, table, call("old, but with a recent event", "a", 50_000), 1, testNow-10)
	over := call("over", "a", 300)
	over.Timeout = testNow - 30
	applyFrom(t, table, over, 1, testNow-300)
	applyFrom(t, table, call("moved", "a", 200), 1, testNow-200)
	applyFrom(t, table, call("moved", "b", 100), 2, testNow-100)
	applyFrom(t, table, call("forked", "a", 200), 1, testNow-200)
	applyFrom(t, table, call("forked", "b", 100), 1, testNow-100)
	early := call("early", "a", 9000)
	early.State, early.ToTag, early.Start = dialog.Early, "", 0
	applyFrom(t, table, early, 1, testNow-9000)

	ask := func(remove bool) (got []string, s GhostSummary) {
		t.Helper()
		s, err := c.Ghosts(context.Background(), GhostQuery{Times: 10}, remove, func(g *Ghost) error {
			got = append(got, fmt.Sprint(g.CallID, " ", g.CallerTag, " ", g.Origin, " ", strings.Join(g.Reasons, "+"), " ", g.Removed))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		return got, s
	}
	got, s := ask(false)
	want := []string{
		"moved a 192.0.2.1:5555 two_sources false", "over a 192.0.2.1:5555 timeout false", "silent a 192.0.2.1:5555 silent false",
	}
	if !slices.Equal(got, want) || len(ended) > 0 {
		t.Errorf("suspects %q, want %q; ended %v", got, want, ended)
	}
	if s.Dialogs != 1007 || s.Suspects != 3 || s.Removed != 0 || len(s.Sources) != 2 || s.Sources[0].Ended != 20 || s.Sources[0].Silent != 1000 {
		t.Errorf("%+v", s)
	}
	refuse = "over"
	got, s = ask(true)
	slices.Sort(ended)
	if !slices.Equal(ended, []string{"moved a", "silent a"}) || s.Removed != 2 || !slices.Contains(got, "over a 192.0.2.1:5555 timeout false") {
		t.Errorf("ended %q, %+v, %q", ended, s, got)
	}
	for _, times := range []float64{0.5, 1e7} {
		if _, err := c.Ghosts(context.Background(), GhostQuery{Times: times}, false, nil); err == nil || !strings.Contains(err.Error(), "times") {
			t.Errorf("%v times: %v", times, err)
		}
	}
}

// applyEnded leaves 20 ended calls of a source, which took so many seconds.
func applyEnded(t *testing.T, table *dialog.Table, origin uint16, length uint32) {
	t.Helper()
	for i := range 20 {
		d := dialog.Details{
			CallID: fmt.Sprintf("ended %d of %d", i, origin), FromTag: "a", ToTag: "b", State: dialog.Confirmed,
			Start: testNow - 10 - length, Timeout: testNow + 3600,
		}
		applyFrom(t, table, d, origin, testNow-10-int64(length))
		var ev dialog.Event
		if v := bin1.Decode(bin1.Append(nil, dialog.Delete, d.AppendKey(nil)), &ev); v != bin1.Dialog {
			t.Fatal(v)
		}
		ev.Hash, ev.Origin = steering.CallID([]byte(d.CallID)), origin
		s := table.Lock(table.ShardOf(ev.Hash))
		s.Apply([]*dialog.Event{&ev}, testNow-10)
		s.Unlock()
	}
}

// TestMassGhosts: all 517 calls of a dead proxy are ghosts, and no age of theirs may hide them.
func TestMassGhosts(t *testing.T) {
	at := func(n int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 5555)
	}
	for name, c := range map[string]struct {
		ended    uint16 // the source whose ended calls are remembered
		query    GhostQuery
		suspects uint64
		silent   float64
		reason   string
	}{
		"by its own ended calls":    {1, GhostQuery{Times: 10}, 517, 1000, GhostSilent},
		"by those of other sources": {2, GhostQuery{Times: 10}, 517, 1000, GhostSilent},
		"nothing is known":          {0, GhostQuery{Times: 10}, 0, 7200, ""},
		"absolute":                  {0, GhostQuery{Times: 10, Silent: 20 * time.Minute}, 517, 1200, GhostSilent},
		"of another source":         {1, GhostQuery{Times: 10, Origin: at(2)}, 0, 0, ""},
		"before a restart":          {0, GhostQuery{Times: 10, Origin: netip.AddrPortFrom(at(1).Addr(), 0), Before: time.Unix(testNow-1000, 0)}, 517, 7200, GhostBefore},
		"before an earlier restart": {0, GhostQuery{Times: 10, Origin: at(1), Before: time.Unix(testNow-10_000, 0)}, 0, 7200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client, table := serveBackend(t, &Backend{
				Now:    func() time.Time { return time.Unix(testNow, 0) },
				Origin: func(n uint16) netip.AddrPort { return at(int(n)) },
			})
			for i := range 517 {
				age := int64(3000 + i)
				applyFrom(t, table, dialog.Details{
					CallID: fmt.Sprintf("ghost %d", i), FromTag: "a", ToTag: "b", State: dialog.Confirmed,
					Start: uint32(testNow - age), Timeout: testNow + 3600,
				}, 1, testNow-age)
			}
			if c.ended != 0 {
				applyEnded(t, table, c.ended, 100)
			}
			reasons := map[string]uint64{}
			s, err := client.Ghosts(context.Background(), c.query, false, func(g *Ghost) error {
				reasons[strings.Join(g.Reasons, "+")]++
				return nil
			})
			if err != nil || s.Suspects != c.suspects || reasons[c.reason] != c.suspects {
				t.Errorf("%+v, %v, %v", s, reasons, err)
			}
			if c.silent != 0 && (len(s.Sources) != 1 || s.Sources[0].Silent != c.silent || s.Dialogs != 517) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestDroppedGhosts: calls that their node accepted before it was synced, and of which nothing was said since.
func TestDroppedGhosts(t *testing.T) {
	doubt := member.Doubt{Cluster: 1, Node: 2, Since: time.Unix(testNow-20, 0), Until: time.Unix(testNow-10, 0)}
	backend := Backend{
		Now:    func() time.Time { return time.Unix(testNow, 0) },
		Origin: func(uint16) netip.AddrPort { return netip.AddrPort{} },
		Sender: func(n uint16) packets.Sender { return packets.Sender{Cluster: 1, Node: uint32(n)} },
		Doubts: func() []member.Doubt { return []member.Doubt{doubt} },
	}
	c, table := serveBackend(t, &backend)
	for id, d := range map[string]struct {
		origin       uint16
		start, heard int64
	}{
		"dropped": {2, 15, 15}, "at its end": {2, 10, 10}, "of another node": {1, 15, 15}, "from before": {2, 25, 25},
		"heard of since": {2, 15, 5}, "older, and heard of then": {2, 500, 15},
	} {
		applyFrom(t, table, dialog.Details{
			CallID: id, FromTag: "a", ToTag: "b", State: dialog.Answered, Start: uint32(testNow - d.start), Timeout: testNow + 3600,
			CallerSocket: "udp:192.0.2.1:5060", CalleeSocket: "udp:192.0.2.1:5060",
		}, d.origin, testNow-d.heard)
	}
	ask := func() (got []string) {
		if _, err := c.Ghosts(t.Context(), GhostQuery{Times: 10}, false, func(g *Ghost) error {
			got = append(got, fmt.Sprint(g.CallID, ": ", strings.Join(g.Reasons, "+")))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		return got
	}
	if got, want := ask(), []string{"at its end: dropped", "dropped: dropped"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	doubt.Until = time.Time{} // the node isn't synced yet, and may tell of them still
	if got := ask(); got != nil {
		t.Errorf("%q", got)
	}
}

// TestNoGhostsWhenAllAreYoung: short calls don't make one of less than 5 minutes a suspect.
func TestNoGhostsWhenAllAreYoung(t *testing.T) {
	backend := Backend{Now: func() time.Time { return time.Unix(testNow, 0) }, Origin: func(uint16) netip.AddrPort { return netip.AddrPort{} }}
	c, table := serveBackend(t, &backend)
	for i := range uint32(20) {
		applyFrom(t, table, dialog.Details{CallID: fmt.Sprint(i), FromTag: "a", ToTag: "b", State: dialog.Answered, Start: testNow - i*14, Timeout: testNow + 60,
			CallerSocket: "udp:192.0.2.1:5060", CalleeSocket: "udp:192.0.2.1:5060"}, 1, testNow-int64(i)*14)
	}
	applyEnded(t, table, 1, 3)
	s, err := c.Ghosts(context.Background(), GhostQuery{Times: 1}, false, func(g *Ghost) error { t.Errorf("%+v", g); return nil })
	if err != nil || s.Dialogs != 20 || len(s.Sources) != 1 || s.Sources[0].Silent != 300 {
		t.Errorf("%+v, %v", s, err)
	}
}
