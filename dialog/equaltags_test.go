package dialog

import (
	"fmt"
	"testing"
)

// Call-IDs whose tags are all equal are refused once they fill a page of the index. Those that were stored are all
// found, and when they have gone there is room again. Only somebody who knows the seed could choose such Call-IDs.
func TestEqualTagsAreRefused(t *testing.T) {
	table := newTable(t, Config{Shards: 1, tag: func([]byte) uint32 { return 0xdeadbeef }})
	const calls = 1024
	stored := 0
	for n := range calls {
		switch got := apply(t, table, epoch, snapshotEvent(t, Create, call(n)))[0]; {
		case got == Applied && n == stored:
			stored++
		case got != RefusedMemory:
			t.Fatalf("call %d: %v after %d were stored", n, got, stored)
		}
	}
	if stored < calls/4 || stored == calls {
		t.Errorf("%d of %d calls stored", stored, calls)
	}
	for n := range calls {
		found := 0
		id := fmt.Sprint("call ", n)
		table.Get(steer(id), []byte(id), func(*View) bool { found++; return true })
		if want := min(max(stored-n, 0), 1); found != want {
			t.Fatalf("%s found %d times, want %d", id, found, want)
		}
	}
	if c := table.Counts(); c.Live() != stored {
		t.Errorf("counts %+v", c)
	}
	if got := table.Expire(1 << 40); got.Live != stored {
		t.Errorf("expired %+v", got)
	}
	if got := apply(t, table, epoch, snapshotEvent(t, Create, call(calls)))[0]; got != Applied {
		t.Errorf("after all went: %v", got)
	}
}
