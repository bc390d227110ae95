package dialog

import (
	"fmt"
	"slices"
	"testing"
)

// told is one event of call "c", and the outcome that it must have.
type told struct {
	event   string // create, update, delete
	from    string
	to      string
	state   State
	start   uint32
	vars    string
	timeout uint32 // 0: the usual
	want    Outcome
}

func (e *told) make(t testing.TB) *Event {
	d := Details{CallID: "c", FromTag: e.from, ToTag: e.to, State: e.state, Start: e.start, Vars: e.vars, Timeout: e.timeout}
	if d.Timeout == 0 {
		d.Timeout = epoch + 3600
	}
	switch e.event {
	case "create":
		return snapshotEvent(t, Create, d)
	case "update":
		return snapshotEvent(t, Update, d)
	}
	return deleteEvent(t, d)
}

// entries lists what the table holds of call "c", as "from/to state start vars", sorted.
func entries(table *Table) []string {
	var list []string
	table.Get(steer("c"), []byte("c"), func(v *View) bool {
		_, rest := v.Key().Part()
		from, rest := rest.Part()
		to, _ := rest.Part()
		s := fmt.Sprintf("%s/%s %v %d", from, to, v.State(), v.Start())
		if !v.Tombstone() {
			s += " " + v.Body().Details().Vars
		}
		list = append(list, s)
		return true
	})
	slices.Sort(list)
	return list
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []told
		left   []string
	}{
		{"create of something new", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
		}, []string{"a/b answered 100 x"}},
		{"create again changes nothing", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"create", "a", "b", 3, 100, "y", 0, Duplicate},
		}, []string{"a/b answered 100 x"}},
		{"create in a higher state", []told{
			{"update", "a", "b", 3, 100, "x", 0, Recovered},
			{"create", "a", "b", 4, 100, "y", 0, Applied},
		}, []string{"a/b confirmed 100 y"}},
		{"create in a lower state", []told{
			{"update", "a", "b", 4, 100, "x", 0, Recovered},
			{"create", "a", "b", 3, 100, "y", 0, Duplicate},
		}, []string{"a/b confirmed 100 x"}},
		{"create of a newer call with the same key", []told{
			{"update", "a", "b", 4, 100, "x", 0, Recovered},
			{"create", "a", "b", 3, 200, "y", 0, Applied},
		}, []string{"a/b answered 200 y"}},
		{"create of an older call with the same key", []told{
			{"create", "a", "b", 3, 200, "x", 0, Applied},
			{"create", "a", "b", 4, 100, "y", 0, Stale},
		}, []string{"a/b answered 200 x"}},
		{"update of something unknown", []told{
			{"update", "a", "b", 4, 100, "x", 0, Recovered},
		}, []string{"a/b confirmed 100 x"}},
		{"update confirms", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"update", "a", "b", 4, 100, "x", 0, Applied},
		}, []string{"a/b confirmed 100 x"}},
		{"update with the same content", []told{
			{"create", "a", "b", 4, 100, "x", 0, Applied},
			{"update", "a", "b", 4, 100, "x", 0, Duplicate},
		}, []string{"a/b confirmed 100 x"}},
		{"update with other content", []told{
			{"create", "a", "b", 4, 100, "x", 0, Applied},
			{"update", "a", "b", 4, 100, "much longer than it was", 0, Applied},
		}, []string{"a/b confirmed 100 much longer than it was"}},
		{"update with a timeout that jitters", []told{
			{"create", "a", "b", 4, 100, "x", 5000, Applied},
			{"update", "a", "b", 4, 100, "x", 5002, Duplicate},
			{"update", "a", "b", 4, 100, "x", 4998, Duplicate},
			{"update", "a", "b", 4, 100, "x", 5003, Applied},
			{"update", "a", "b", 4, 100, "x", 5000, Applied}, // what was said last is the state
			{"update", "a", "b", 4, 100, "x", 5006, Applied},
		}, []string{"a/b confirmed 100 x"}},
		{"update in a lower state", []told{
			{"create", "a", "b", 4, 100, "x", 0, Applied},
			{"update", "a", "b", 3, 100, "y", 0, Stale},
		}, []string{"a/b confirmed 100 x"}},
		{"update of a newer call with the same key", []told{
			{"create", "a", "b", 4, 100, "x", 0, Applied},
			{"update", "a", "b", 3, 101, "y", 0, Applied},
		}, []string{"a/b answered 101 y"}},
		{"update of an older call with the same key", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"update", "a", "b", 4, 99, "y", 0, Stale},
		}, []string{"a/b answered 100 x"}},
		{"live without a start", []told{
			{"create", "a", "b", 3, 0, "x", 0, Applied},
			{"update", "a", "b", 4, 0, "x", 0, Applied},
			{"update", "a", "b", 3, 0, "y", 0, Stale},
			{"update", "a", "b", 3, 7, "z", 0, Applied},
			{"update", "a", "b", 4, 0, "w", 0, Stale},
		}, []string{"a/b answered 7 z"}},
		{"delete", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"delete", "a", "b", 0, 0, "", 0, Applied},
			{"delete", "a", "b", 0, 0, "", 0, Duplicate},
		}, []string{"a/b ended 100"}},
		{"delete with the tags in the other order", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"delete", "b", "a", 0, 0, "", 0, Applied},
			{"delete", "b", "a", 0, 0, "", 0, Duplicate},
			{"update", "a", "b", 4, 100, "x", 0, Late},
		}, []string{"a/b ended 100"}},
		{"delete prefers the exact key", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"create", "b", "a", 3, 100, "y", 0, Applied},
			{"delete", "a", "b", 0, 0, "", 0, Applied},
			{"delete", "a", "b", 0, 0, "", 0, Duplicate},
		}, []string{"a/b ended 100", "b/a answered 100 y"}},
		{"delete of something unknown", []told{
			{"delete", "a", "b", 0, 0, "", 0, Unknown},
			{"delete", "b", "a", 0, 0, "", 0, Duplicate},
			{"create", "a", "b", 3, 100, "x", 0, Late},
			{"create", "b", "a", 3, 100, "x", 0, Late},
			{"update", "a", "b", 4, 999, "x", 0, Late},
			{"create", "a", "c", 3, 100, "x", 0, Applied},
		}, []string{"a/b ended 0", "a/c answered 100 x"}},
		{"late and newer than a tombstone", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"delete", "a", "b", 0, 0, "", 0, Applied},
			{"update", "a", "b", 4, 100, "x", 0, Late},
			{"create", "a", "b", 4, 99, "x", 0, Late},
			{"create", "a", "b", 3, 101, "y", 0, Applied},
		}, []string{"a/b answered 101 y"}},
		{"update newer than a tombstone", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"delete", "a", "b", 0, 0, "", 0, Applied},
			{"update", "a", "b", 4, 101, "y", 0, Recovered},
		}, []string{"a/b confirmed 101 y"}},
		{"ended snapshot", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"update", "a", "b", 5, 100, "y", 0, Applied},
			{"update", "a", "b", 5, 100, "y", 0, Duplicate},
			{"delete", "a", "b", 0, 0, "", 0, Duplicate},
		}, []string{"a/b ended 100"}},
		{"ended snapshot of something unknown knows its start", []told{
			{"update", "a", "b", 5, 100, "y", 0, Unknown},
			{"create", "a", "b", 3, 100, "x", 0, Late},
			{"create", "a", "b", 3, 101, "x", 0, Applied},
		}, []string{"a/b answered 101 x"}},
		{"ended snapshot of an older call", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"update", "a", "b", 5, 99, "y", 0, Stale},
		}, []string{"a/b answered 100 x"}},
		{"ended snapshot of a newer call", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"update", "a", "b", 5, 101, "y", 0, Applied},
			{"update", "a", "b", 4, 101, "x", 0, Late},
			{"update", "a", "b", 5, 102, "y", 0, Unknown},
			{"update", "a", "b", 4, 102, "x", 0, Late},
		}, []string{"a/b ended 102"}},
		{"ended snapshot meets a tombstone without start", []told{
			{"delete", "a", "b", 0, 0, "", 0, Unknown},
			{"update", "a", "b", 5, 100, "y", 0, Duplicate},
			{"create", "a", "b", 3, 101, "x", 0, Late},
		}, []string{"a/b ended 0"}},
		{"early", []told{
			{"update", "a", "", 1, 0, "x", 0, BeganEarly},
			{"update", "a", "", 1, 0, "x", 0, Duplicate},
			{"update", "a", "", 1, 0, "y", 0, BeganEarly},
			{"update", "a", "", 2, 0, "y", 0, BeganEarly},
			{"update", "a", "", 1, 0, "z", 0, Stale},
		}, []string{"a/ early 0 y"}},
		{"early becomes live under another key", []told{
			{"update", "a", "", 1, 0, "x", 0, BeganEarly},
			{"update", "d", "", 1, 0, "x", 0, BeganEarly},
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"update", "a", "", 2, 0, "y", 0, Late},
		}, []string{"a/b answered 100 x", "d/ unconfirmed 0 x"}},
		{"early becomes live by an update", []told{
			{"update", "a", "", 2, 0, "x", 0, BeganEarly},
			{"update", "a", "b", 4, 100, "x", 0, Recovered},
		}, []string{"a/b confirmed 100 x"}},
		{"early becomes live under the same key", []told{
			{"update", "a", "", 2, 0, "x", 0, BeganEarly},
			{"create", "a", "", 3, 100, "a longer one than before, to need another slot", 0, Applied},
			{"update", "a", "", 2, 0, "y", 0, Stale},
		}, []string{"a/ answered 100 a longer one than before, to need another slot"}},
		{"several early ones of one caller", []told{
			{"update", "a", "p", 2, 0, "x", 0, BeganEarly},
			{"update", "a", "", 1, 0, "x", 0, BeganEarly},
			{"update", "a", "q", 2, 0, "x", 0, BeganEarly},
			{"create", "a", "p", 3, 100, "y", 0, Applied},
		}, []string{"a/p answered 100 y"}},
		{"early ended", []told{
			{"update", "a", "", 2, 0, "x", 0, BeganEarly},
			{"delete", "a", "", 0, 0, "", 0, Applied},
			{"update", "a", "", 2, 0, "x", 0, Late},
			{"create", "a", "", 3, 100, "x", 0, Late},
		}, []string{"a/ ended 0"}},
		{"early overtaken by the end", []told{
			{"update", "a", "", 2, 0, "x", 0, BeganEarly},
			{"delete", "a", "b", 0, 0, "", 0, Unknown},
			{"update", "a", "", 2, 0, "x", 0, Late},
		}, []string{"a/b ended 0"}},
		{"early overtaken by the end with the tags in the other order", []told{
			{"update", "a", "", 2, 0, "x", 0, BeganEarly},
			{"delete", "b", "a", 0, 0, "", 0, Unknown},
			{"update", "a", "", 2, 0, "x", 0, Late},
		}, []string{"b/a ended 0"}},
		{"early beside a live dialog whose callee has that tag", []told{
			{"create", "b", "a", 3, 100, "x", 0, Applied},
			{"update", "a", "", 2, 0, "y", 0, BeganEarly},
		}, []string{"a/ early 0 y", "b/a answered 100 x"}},
		{"ended snapshot of a call that wasn't answered", []told{
			{"update", "a", "", 2, 0, "x", 0, BeganEarly},
			{"update", "a", "", 5, 0, "x", 0, Applied},
			{"create", "a", "", 3, 100, "x", 0, Late},
		}, []string{"a/ ended 0"}},
		{"answered by the proxy itself", []told{
			{"create", "a", "", 3, 100, "x", 0, Applied},
			{"update", "a", "", 4, 100, "x", 0, Applied},
			{"delete", "a", "", 0, 0, "", 0, Applied},
			{"update", "a", "", 4, 100, "x", 0, Late},
		}, []string{"a/ ended 100"}},
		{"one call, two callees", []told{
			{"create", "a", "b", 3, 100, "x", 0, Applied},
			{"create", "a", "c", 3, 100, "y", 0, Applied},
			{"delete", "a", "b", 0, 0, "", 0, Applied},
			{"update", "a", "c", 4, 100, "y", 0, Applied},
		}, []string{"a/b ended 100", "a/c confirmed 100 y"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := newTable(t, Config{Shards: 2})
			for i, e := range c.events {
				if got := apply(t, table, epoch, e.make(t))[0]; got != e.want {
					t.Errorf("event %d: %v, want %v", i+1, got, e.want)
				}
			}
			if got := entries(table); !slices.Equal(got, c.left) {
				t.Errorf("left %q, want %q", got, c.left)
			}
		})
	}
}

// A batch gives the same as one event after the other, although Apply looks ahead in it.
func TestRulesInOneBatch(t *testing.T) {
	table := newTable(t, Config{})
	events := []told{
		{"update", "a", "", 1, 0, "x", 0, BeganEarly},
		{"create", "a", "b", 3, 100, "x", 0, Applied},
		{"update", "a", "b", 4, 100, "a longer one than before, to need another slot", 0, Applied},
		{"create", "a", "b", 3, 100, "x", 0, Duplicate},
		{"delete", "b", "a", 0, 0, "", 0, Applied},
		{"update", "a", "b", 4, 100, "x", 0, Late},
		{"create", "a", "b", 4, 200, "x", 0, Applied},
	}
	var evs []*Event
	for i := range events {
		evs = append(evs, events[i].make(t))
	}
	s := table.Lock(table.ShardOf(evs[0].Hash))
	s.Apply(evs, epoch)
	s.Unlock()
	for i, ev := range evs {
		if ev.Outcome != events[i].want {
			t.Errorf("event %d: %v, want %v", i+1, ev.Outcome, events[i].want)
		}
	}
	if got, want := entries(table), []string{"a/b confirmed 200 x"}; !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
}
