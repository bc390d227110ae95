package dialog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// permutations calls fn with each order of list.
func permutations[T any](list []T, fn func([]T)) {
	var place func(k int)
	place = func(k int) {
		if k == len(list) {
			fn(list)
			return
		}
		for i := k; i < len(list); i++ {
			list[k], list[i] = list[i], list[k]
			place(k + 1)
			list[k], list[i] = list[i], list[k]
		}
	}
	place(0)
}

// outcome plays events and returns what is left, as far as it can be seen from outside: what lives, and what has ended,
// with its tags in sorted order.
func outcome(t *testing.T, table *Table, events []told) string {
	for i := range events {
		apply(t, table, epoch, events[i].make(t))
	}
	left := entries(table)
	for i, e := range left {
		if key, _, ended := strings.Cut(e, " ended"); ended {
			from, to, _ := strings.Cut(key, "/")
			left[i] = min(from, to) + "/" + max(from, to) + " ended"
		}
	}
	slices.Sort(left)
	return fmt.Sprint(left)
}

// clean makes the table forget the call.
func clean(t *testing.T, table *Table) {
	table.Expire(1 << 40)
	if n := len(entries(table)); n != 0 {
		t.Fatalf("%d entries left", n)
	}
}

// Any part of one call's events, in any order, ends in the same state. Each event may be lost, and one may come twice.
func TestEveryOrderEndsTheSame(t *testing.T) {
	events := []told{
		{"update", "a", "", 2, 0, "set up", 0, 0},
		{"create", "a", "b", 3, 100, "created", 0, 0},
		{"update", "a", "b", 3, 100, "before the ACK", 0, 0},
		{"update", "a", "b", 4, 100, "confirmed", 0, 0},
		{"delete", "b", "a", 0, 0, "", 0, 0},
		{"update", "a", "b", 5, 100, "ended", 0, 0},
	}
	table := newTable(t, Config{Shards: 1})
	orders := 0
	check := func(got []told) {
		want := ""
		permutations(got, func(order []told) {
			orders++
			left := outcome(t, table, order)
			clean(t, table)
			if want == "" {
				want = left
			}
			if left != want {
				t.Fatalf("order %v leaves %s, another left %s", order, left, want)
			}
		})
	}
	for subset := range 1 << len(events) {
		var got []told
		for i, e := range events {
			if subset>>i&1 != 0 {
				got = append(got, e)
			}
		}
		check(got)
		if len(got) > 4 {
			continue // six with one of them twice have 5,040 orders more each time
		}
		for _, twice := range got {
			check(append(slices.Clone(got), twice))
		}
	}
	t.Logf("%d orders", orders)
}

// What is left is right: the newest snapshot, or nothing but a tombstone after an end.
func TestWhatEveryOrderEndsIn(t *testing.T) {
	table := newTable(t, Config{Shards: 1})
	for _, c := range []struct {
		events []told
		left   string
	}{
		{[]told{{"update", "a", "", 1, 0, "x", 0, 0}, {"update", "a", "", 2, 0, "y", 0, 0}}, "[a/ early 0 y]"},
		{[]told{{"update", "a", "", 1, 0, "x", 0, 0}, {"create", "a", "b", 3, 100, "y", 0, 0}}, "[a/b answered 100 y]"},
		{[]told{{"create", "a", "b", 3, 100, "x", 0, 0}, {"update", "a", "b", 4, 100, "y", 0, 0}}, "[a/b confirmed 100 y]"},
		{[]told{{"create", "a", "b", 4, 100, "x", 0, 0}, {"update", "a", "b", 3, 100, "y", 0, 0}}, "[a/b confirmed 100 x]"},
		{[]told{{"create", "a", "b", 3, 100, "x", 0, 0}, {"create", "a", "b", 3, 200, "y", 0, 0}}, "[a/b answered 200 y]"},
		{[]told{{"create", "a", "b", 3, 100, "x", 0, 0}, {"delete", "a", "b", 0, 0, "", 0, 0}}, "[a/b ended]"},
		{[]told{{"create", "a", "b", 3, 100, "x", 0, 0}, {"update", "a", "b", 5, 100, "", 0, 0}, {"create", "a", "b", 3, 200, "y", 0, 0}},
			"[a/b answered 200 y]"},
		{[]told{{"create", "a", "b", 3, 100, "x", 0, 0}, {"create", "a", "c", 3, 101, "y", 0, 0}, {"delete", "c", "a", 0, 0, "", 0, 0}},
			"[a/b answered 100 x a/c ended]"},
	} {
		permutations(c.events, func(order []told) {
			if left := outcome(t, table, order); left != c.left {
				t.Errorf("order %v leaves %s, want %s", order, left, c.left)
			}
			clean(t, table)
		})
	}
}

// The cases in which the order matters. rules.go says why.
func TestWhereOrderMatters(t *testing.T) {
	table := newTable(t, Config{Shards: 1})
	for _, c := range []struct {
		name           string
		events         []told
		left, reversed string
	}{
		{"two updates of one state that no CSeq orders: the last wins",
			[]told{{"update", "a", "b", 4, 100, "x", 0, 0}, {"update", "a", "b", 4, 100, "y", 0, 0}},
			"[a/b confirmed 100 y]", "[a/b confirmed 100 x]"},
		{"two creations: the first wins",
			[]told{{"create", "a", "b", 3, 100, "x", 0, 0}, {"create", "a", "b", 3, 100, "y", 0, 0}},
			"[a/b answered 100 x]", "[a/b answered 100 y]"},
		{"a deletion names no start: it ends whichever call has the key",
			[]told{{"create", "a", "b", 3, 100, "x", 0, 0}, {"delete", "a", "b", 0, 0, "", 0, 0}, {"create", "a", "b", 3, 200, "y", 0, 0}},
			"[a/b answered 200 y]", "[a/b ended]"},
	} {
		if left := outcome(t, table, c.events); left != c.left {
			t.Errorf("%s: leaves %s, want %s", c.name, left, c.left)
		}
		clean(t, table)
		slices.Reverse(c.events)
		if left := outcome(t, table, c.events); left != c.reversed {
			t.Errorf("%s, reversed: leaves %s, want %s", c.name, left, c.reversed)
		}
		clean(t, table)
	}
}

// Updates that differ go round between tables, each of which passes on what changed it, marked by the appliance that took it
// in. In every order that comes to an end, and all tables end with the same content, whether or not CSeqs order it.
func TestUpdatesDontChaseEachOther(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		for count := 2; count <= 5; count++ {
			contents := make([]told, count)
			for i := range contents {
				contents[i] = told{event: "update", from: "a", to: "b", state: 4, start: 100, vars: fmt.Sprint("content ", i)}
			}
			permutations(contents, func(order []told) {
				tables := []*Table{newTable(t, Config{Shards: 1}), newTable(t, Config{Shards: 1}), newTable(t, Config{Shards: 1})}
				// What is on its way to each table, in order. All of it is on its way before the first arrives.
				type passed struct {
					told
					peer   uint16
					moment uint32
				}
				way := make([][]passed, len(tables))
				for i, e := range order {
					way[i%len(tables)] = append(way[i%len(tables)], passed{told: e})
				}
				steps := 0
				for under := true; under; {
					under = false
					for i, table := range tables {
						if len(way[i]) == 0 {
							continue
						}
						under = true
						e := way[i][0]
						way[i] = way[i][1:]
						ev := e.make(t)
						if ordered {
							ev = withCSeq(t, ev, e.vars)
						}
						ev.Peer, ev.Moment = e.peer, e.moment
						apply(t, table, epoch, ev)
						if ev.Changed() || ev.Confirms {
							e.moment = ev.Moment
							if e.peer == 0 {
								e.peer = uint16(i + 1)
							}
							next := (i + 1) % len(tables)
							if e.peer != uint16(next+1) { // what comes back is dropped before it reaches the table
								way[next] = append(way[next], e)
							}
						}
						if steps++; steps > 1000 {
							t.Fatalf("%d contents, ordered %v: order %v never ends", count, ordered, order)
						}
					}
				}
				for _, table := range tables[1:] {
					if got, want := fmt.Sprint(entries(table)), fmt.Sprint(entries(tables[0])); got != want {
						t.Errorf("ordered %v, order %v: %s and %s", ordered, order, got, want)
					}
				}
			})
		}
	}
}

// withCSeq gives an update the CSeq number that its content ends in, counted from 1.
func withCSeq(t *testing.T, ev *Event, content string) *Event {
	d := ev.Body.Details()
	d.CalleeCSeq = string(content[len(content)-1] + 1)
	numbered := new(Event)
	if fault := ParseSnapshot(d.AppendPacked(nil), ev.Kind, numbered); fault != NoFault {
		t.Fatalf("fault %d", fault)
	}
	numbered.Hash = ev.Hash
	return numbered
}
