package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

// largeVars is a list of variables of about n bytes.
func largeVars(n int) string {
	var v strings.Builder
	for i := 0; v.Len() < n-10; i++ {
		fmt.Fprintf(&v, "%x#|", i)
	}
	return v.String()
}

// holds collects what was done in each hold of a shard's lock.
type holds struct {
	number, entries, bytes int // the last two: the most in one hold
}

func (h *holds) add(entries, bytes int) {
	h.number++
	h.entries, h.bytes = max(h.entries, entries), max(h.bytes, bytes)
}

// TestHoldsAreBounded counts the entries that each request visits and the bytes that it copies per hold of a shard's
// lock, over dialogs of the largest size and over one call with as many dialogs as a call may have (fault 14).
func TestHoldsAreBounded(t *testing.T) {
	const size, calls, forks = 60_000, 150, 128
	table, err := dialog.NewTable(dialog.Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	vars := largeVars(size)
	put := func(callID, tag string) {
		apply(t, table, bin1.Append(nil, dialog.Create, (&dialog.Details{
			CallID: callID, FromTag: tag, ToTag: "t", FromURI: "sip:a@x", State: dialog.Confirmed, Start: testNow,
			Timeout: testNow - 5, Vars: vars, // past its timeout: a suspect for ghosts
		}).AppendPacked(nil)))
	}
	for i := range calls {
		put(fmt.Sprint("call ", i), "a")
	}
	for i := range forks {
		put("forked", fmt.Sprint(i))
	}
	const all = calls + forks
	b := &Backend{
		Table: table, Steering: steering, Now: func() time.Time { return time.Unix(testNow, 0) },
		Origin: func(uint16) netip.AddrPort { return netip.AddrPort{} },
	}
	ctx := context.Background()
	for _, test := range []struct {
		name string
		run  func(seen map[string]int) error
		want int
	}{
		{"list", func(seen map[string]int) error {
			return b.walk(ctx, Filter{}, func(v *dialog.View) error { seen[string(v.Key())]++; return nil })
		}, all},
		{"list by URI", func(seen map[string]int) error {
			return b.walk(ctx, Filter{From: "sip:a"}, func(v *dialog.View) error { seen[string(v.Key())]++; return nil })
		}, all},
		{"count", func(seen map[string]int) error {
			return b.walk(ctx, Filter{}, func(v *dialog.View) error { seen[string(v.Key())]++; return nil })
		}, all},
		{"get", func(seen map[string]int) error {
			return b.walk(ctx, Filter{CallID: "forked"}, func(v *dialog.View) error { seen[string(v.Key())]++; return nil })
		}, forks},
		{"search of the page", func(seen map[string]int) error {
			total := b.Find("forked", func(d *Dialog) bool { seen[string(d.CallerTag)]++; return true })
			if total != forks {
				return fmt.Errorf("total %d", total)
			}
			return nil
		}, forks},
		{"ghosts", func(seen map[string]int) error {
			h := ghostSearch{backend: b, now: testNow, query: GhostQuery{Times: 10}}
			return errors.Join(h.measure(ctx), h.run(ctx, func(g *Ghost) error { seen[string(g.CallID)+" "+string(g.CallerTag)]++; return nil }))
		}, all},
	} {
		t.Run(test.name, func(t *testing.T) {
			var h holds
			b.held = h.add
			seen := map[string]int{}
			if err := test.run(seen); err != nil {
				t.Fatal(err)
			}
			if len(seen) != test.want {
				t.Errorf("%d dialogs, want %d", len(seen), test.want)
			}
			for key, n := range seen {
				if n != 1 {
					t.Errorf("%q came %d times", key[:min(len(key), 20)], n)
				}
			}
			if h.number == 0 || h.entries > holdEntries || h.bytes > holdBytes+dialog.MaxBody+64 {
				t.Errorf("%d holds: up to %d entries and %d bytes in one, want at most %d and %d", h.number, h.entries, h.bytes,
					holdEntries, holdBytes+dialog.MaxBody+64)
			}
		})
	}
}

// TestLargeCallStaysWhole reads a call that doesn't fit into one hold, while dialogs of it come and go. Those that stay
// come exactly once.
func TestLargeCallStaysWhole(t *testing.T) {
	table, err := dialog.NewTable(dialog.Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	vars := largeVars(50_000)
	fork := func(tag string) *dialog.Details {
		return &dialog.Details{CallID: "c", FromTag: tag, ToTag: "t", State: dialog.Confirmed, Start: testNow, Timeout: testNow + 9, Vars: vars}
	}
	for i := range 90 {
		apply(t, table, bin1.Append(nil, dialog.Create, fork(fmt.Sprint(i)).AppendPacked(nil)))
	}
	b := &Backend{Table: table, Steering: steering, Origin: func(uint16) netip.AddrPort { return netip.AddrPort{} }}
	seen, holds := map[string]int{}, 0
	b.held = func(int, int) { // the lock is free here
		apply(t, table,
			bin1.Append(nil, dialog.Delete, fork(fmt.Sprint(holds)).AppendKey(nil)),
			bin1.Append(nil, dialog.Create, fork(fmt.Sprint("new", holds)).AppendPacked(nil)))
		holds++
	}
	if err := b.walk(context.Background(), Filter{}, func(v *dialog.View) error {
		d := v.Body().Details()
		seen[d.FromTag]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if holds < 4 {
		t.Errorf("%d holds: the call was to take several", holds)
	}
	for i := range 90 {
		tag := fmt.Sprint(i)
		if n := seen[tag]; n > 1 || i >= holds && n != 1 {
			t.Errorf("dialog %s came %d times", tag, n)
		}
	}
}

// TestListRendersCopies checks that a copied dialog renders as before.
func TestListRendersCopies(t *testing.T) {
	c, table := serve(t)
	for i := range 40 {
		apply(t, table, bin1.Append(nil, dialog.Create, (&dialog.Details{
			CallID: fmt.Sprint(i), FromTag: "f", ToTag: "t", State: dialog.Confirmed, Start: testNow, Timeout: testNow + 9,
			Vars: fmt.Sprintf("n#%d|", i) + largeVars(60_000),
		}).AppendPacked(nil)))
	}
	n := 0
	if err := c.Dialogs(context.Background(), Filter{}, func(line []byte) error {
		var d Dialog
		if err := json.Unmarshal(line, &d); err != nil {
			return err
		}
		if n++; d.Vars["n"] != d.CallID || len(d.Vars) < 9000 || d.Updated != testNow {
			t.Errorf("dialog %q has n = %q and %d variables", d.CallID, d.Vars["n"], len(d.Vars))
		}
		return nil
	}); err != nil || n != 40 {
		t.Errorf("%d dialogs, error %v", n, err)
	}
}
