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
	// 999 ordinary calls of 1 to 199 s. The median is about 100 s, and 10 times that is 1,000 s.
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
		s, err := c.Ghosts(context.Background(), 10, remove, func(g *Ghost) error {
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
	if s.Dialogs != 1007 || s.Suspects != 3 || s.Removed != 0 || s.MedianAge < 95 || s.MedianAge > 106 || s.Silent != 10*s.MedianAge {
		t.Errorf("%+v", s)
	}
	refuse = "over"
	got, s = ask(true)
	slices.Sort(ended)
	if !slices.Equal(ended, []string{"moved a", "silent a"}) || s.Removed != 2 || !slices.Contains(got, "over a 192.0.2.1:5555 timeout false") {
		t.Errorf("ended %q, %+v, %q", ended, s, got)
	}
	for _, times := range []float64{0.5, 1e7} {
		if _, err := c.Ghosts(context.Background(), times, false, nil); err == nil || !strings.Contains(err.Error(), "times") {
			t.Errorf("%v times: %v", times, err)
		}
	}
}

// TestNoGhostsWhenAllAreYoung: shortly after the start the median says nothing.
func TestNoGhostsWhenAllAreYoung(t *testing.T) {
	backend := Backend{Now: func() time.Time { return time.Unix(testNow, 0) }, Origin: func(uint16) netip.AddrPort { return netip.AddrPort{} }}
	c, table := serveBackend(t, &backend)
	for i := range uint32(20) {
		applyFrom(t, table, dialog.Details{CallID: fmt.Sprint(i), FromTag: "a", ToTag: "b", State: dialog.Answered, Start: testNow - i*14, Timeout: testNow + 60,
			CallerSocket: "udp:192.0.2.1:5060", CalleeSocket: "udp:192.0.2.1:5060"}, 1, testNow-int64(i)*14)
	}
	s, err := c.Ghosts(context.Background(), 1, false, func(g *Ghost) error { t.Errorf("%+v", g); return nil })
	if err != nil || s.Dialogs != 20 || s.Silent != 300 {
		t.Errorf("%+v, %v", s, err)
	}
}
