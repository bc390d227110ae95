package snapshot_test

import (
	"fmt"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/out/snapshot"
)

// put applies one change to the table.
func put(table *dialog.Table, kind dialog.Kind, d dialog.Details, hash uint32) {
	ev := dialog.Event{Kind: kind, State: d.State, Start: d.Start, Timeout: d.Timeout, Origin: 7, Hash: hash, Key: d.AppendKey(nil)}
	ev.Body = ev.Key
	if kind != dialog.Delete {
		ev.Body = d.AppendPacked(nil)
	}
	s := table.Lock(table.ShardOf(ev.Hash))
	defer s.Unlock()
	s.Apply([]*dialog.Event{&ev}, 1_700_000_500)
}

// TestEntriesAreCopies scans a table, changes it, and compares the copies with what the table held during the scan.
func TestEntriesAreCopies(t *testing.T) {
	table, err := dialog.NewTable(dialog.Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	const calls = 20
	call := func(n int) dialog.Details {
		return dialog.Details{
			CallID: fmt.Sprint(n), FromTag: "f", ToTag: "t", State: dialog.Confirmed,
			Start: 1_700_000_000, Timeout: 0xf0000000, CallerCSeq: "1", CalleeCSeq: "1",
		}
	}
	for n := range calls {
		put(table, dialog.Create, call(n), uint32(n))
		if n%4 == 0 {
			put(table, dialog.Delete, call(n), uint32(n))
		}
	}
	var e snapshot.Entries
	e.Grow(1<<12, calls)
	for range 2 { // the second time with used memory
		e.Reset()
		var cur dialog.Cursor
		for table.Scan(&cur, e.Add) {
		}
	}
	for n := range calls {
		put(table, dialog.Delete, call(n), uint32(n))
	}
	if len(e.Ended) != calls/4 || len(e.Dialogs) != calls-calls/4 || e.Len() != calls || e.Bytes() == 0 {
		t.Fatalf("%d ended, %d dialogs, %d in all, %d bytes", len(e.Ended), len(e.Dialogs), e.Len(), e.Bytes())
	}
	seen := map[string]bool{}
	for i := range e.Dialogs {
		c := &e.Dialogs[i]
		d := e.Body(c).Details()
		seen[d.CallID] = true
		if c.State != dialog.Confirmed || c.Start != d.Start || c.Timeout != 0xf0000000 || c.Updated != 1_700_000_500 || c.Origin != 7 ||
			string(e.Key(c)) != string(d.AppendKey(nil)) {
			t.Errorf("%+v of %+v", c, d)
		}
	}
	for i := range e.Ended {
		c := &e.Ended[i]
		if c.State != dialog.Ended || string(e.Body(c)) != string(e.Key(c)) {
			t.Errorf("%+v", c)
		}
		seen[string(e.Key(c))] = true
	}
	if len(seen) != calls {
		t.Errorf("%d of %d calls", len(seen), calls)
	}
}
