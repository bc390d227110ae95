package dialog

import (
	"testing"
	"time"
)

func newTable(t testing.TB, c Config) *Table {
	t.Helper()
	table, err := NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return table
}

// epoch is the time at which tests begin, in Unix seconds.
const epoch = 1_795_000_000

// snapshotEvent and deleteEvent parse packed bytes of d, as a decoder would.
func snapshotEvent(t testing.TB, kind Kind, d Details) *Event {
	t.Helper()
	ev := new(Event)
	if fault := ParseSnapshot(d.AppendPacked(nil), kind, ev); fault != NoFault {
		t.Fatalf("snapshot of %s: fault %d", d.CallID, fault)
	}
	ev.Hash = steer(d.CallID)
	return ev
}

func deleteEvent(t testing.TB, d Details) *Event {
	t.Helper()
	ev := new(Event)
	if fault := ParseKey(d.AppendKey(nil), ev); fault != NoFault {
		t.Fatalf("key of %s: fault %d", d.CallID, fault)
	}
	ev.Hash = steer(d.CallID)
	return ev
}

// steer stands for the steering hash: FNV-1a, folded.
func steer(callID string) uint32 {
	h := uint64(14695981039346656037)
	for i := range len(callID) {
		h = (h ^ uint64(callID[i])) * 1099511628211
	}
	return uint32(h ^ h>>32)
}

// apply plays events one by one and returns their outcomes.
func apply(t testing.TB, table *Table, now int64, evs ...*Event) []Outcome {
	t.Helper()
	var outcomes []Outcome
	for i, ev := range evs {
		s := table.Lock(table.ShardOf(ev.Hash))
		s.Apply(evs[i:i+1], now)
		s.Unlock()
		outcomes = append(outcomes, ev.Outcome)
	}
	return outcomes
}

func TestTableKeepsWhatItWasTold(t *testing.T) {
	table := newTable(t, Config{})
	const dialogs = 5000
	want := make(map[string]Details)
	for n := range dialogs {
		d := sampleDialog(n)
		want[d.CallID] = d
		if got := apply(t, table, epoch, snapshotEvent(t, Create, d)); got[0] != Applied {
			t.Fatalf("create of dialog %d: %v", n, got[0])
		}
	}
	if c := table.Counts(); c.Answered != dialogs || c.Live() != dialogs || c.Tombstones != 0 {
		t.Errorf("counts %+v, want %d answered", c, dialogs)
	}
	for id, d := range want {
		found := 0
		table.Get(steer(id), []byte(id), func(v *View) bool {
			found++
			if got := v.Body().Details(); got != d {
				t.Errorf("dialog %s: %+v, want %+v", id, got, d)
			}
			if v.Timeout() != d.Timeout || v.Start() != d.Start || v.State() != d.State || v.Updated() != epoch || v.Tombstone() {
				t.Errorf("dialog %s: view %d %d %v %d", id, v.Timeout(), v.Start(), v.State(), v.Updated())
			}
			return true
		})
		if found != 1 {
			t.Errorf("dialog %s: got %d times", id, found)
		}
	}
	seen := scanAll(table)
	for id := range want {
		if seen[id] != 1 {
			t.Errorf("dialog %s: scanned %d times", id, seen[id])
		}
	}
	if got, want := table.Expire(epoch), (Expired{}); got != want {
		t.Errorf("expired before the time: %+v", got)
	}
	end := int64(sampleDialog(0).Timeout) + int64(DefaultExpiryGrace/time.Second)
	if got, want := table.Expire(end), (Expired{Live: dialogs}); got != want {
		t.Errorf("expired %+v, want %+v", got, want)
	}
	if got := len(scanAll(table)); got != 0 {
		t.Errorf("%d entries left", got)
	}
}

// scanAll counts visits by Call-ID.
func scanAll(table *Table) map[string]int {
	seen := make(map[string]int)
	var cur Cursor
	for more := true; more; {
		more = table.Scan(&cur, func(v *View) {
			id, _ := v.Key().Part()
			seen[string(id)]++
		})
	}
	return seen
}
