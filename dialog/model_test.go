package dialog

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is the table in its plainest form: a map, and the rules in the order of the design, with no regard for speed.
type model struct {
	entries map[[3]string]modelEntry
	perCall int
}

type modelEntry struct {
	state    State
	start    uint32
	updated  int64
	origin   uint16
	deadline int64
	details  Details // zero for a tombstone
	moment   uint32
	peer     uint16
}

// said is an event's mark and where it came from.
type said struct {
	origin, peer uint16
	moment       uint32
}

// mark gives e the mark of content that was said so and takes the place of old, the zero value for nothing.
func (e *modelEntry) mark(by said, old modelEntry, now int64) {
	e.origin, e.peer, e.moment = by.origin, by.peer, by.moment
	if by.peer == 0 {
		e.moment = max(old.moment+1, uint32(now))
	}
}

// renew says what becomes of content of the same start and state as that under key.
func (m *model) renew(d Details, by said, key [3]string, now int64) Outcome {
	old := m.entries[key]
	if sameSaying(d, old.details) {
		if by.peer != 0 && by.moment > old.moment {
			old.moment, old.peer = by.moment, by.peer
			m.entries[key] = old
		}
		return Duplicate
	}
	verdict := func(newer bool) Outcome {
		if newer {
			return Applied
		}
		return Stale
	}
	if by.peer != 0 && by.peer == old.peer {
		return verdict(by.moment > old.moment)
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0
		}
		return n
	}
	signs := 0 // of the differences that say something: 1 up, 2 down
	for _, pair := range [][2]string{{d.CallerCSeq, old.details.CallerCSeq}, {d.CalleeCSeq, old.details.CalleeCSeq}} {
		switch x, y := number(pair[0]), number(pair[1]); {
		case x == 0 || y == 0:
		case x > y:
			signs |= 1
		case x < y:
			signs |= 2
		}
	}
	switch {
	case signs == 1 || signs == 2:
		return verdict(signs == 1)
	case by.peer != 0 && by.moment != old.moment:
		return verdict(by.moment > old.moment)
	case by.peer != 0:
		return verdict(string(d.AppendPacked(nil)) > string(old.details.AppendPacked(nil)))
	case old.peer != 0 || by.origin == old.origin:
		return Applied
	}
	return verdict(now-old.updated >= 2)
}

func (m *model) snapshot(kind Kind, d Details, by said, now int64) Outcome {
	if d.State == Ended {
		return m.end(d, by, now, true)
	}
	key := [3]string{d.CallID, d.FromTag, d.ToTag}
	old, known := m.entries[key]
	if !known {
		mirrored := [3]string{d.CallID, d.ToTag, d.FromTag}
		if stone, ok := m.entries[mirrored]; ok && stone.state == Ended {
			key, old, known = mirrored, stone, true
		}
	}
	e := modelEntry{state: d.State, start: d.Start, updated: now, details: d}
	e.mark(by, old, now)
	if d.State.BeingSetUp() {
		e.deadline = now + int64(DefaultEarlyTimeout/time.Second)
		return m.early(key, e, old, by, known)
	}
	e.deadline = int64(d.Timeout) + int64(DefaultExpiryGrace/time.Second)

	isNew := !known || old.state.BeingSetUp()
	if known && old.state == Ended {
		if old.start == 0 || d.Start <= old.start {
			return Late
		}
		isNew = true
	}
	outcome := Applied
	switch {
	case isNew:
		if kind == Update {
			outcome = Recovered
		}
	case d.Start > old.start:
	case d.Start < old.start:
		return Stale
	case kind == Create && d.State <= old.state:
		return Duplicate
	case kind == Update && d.State < old.state:
		return Stale
	case kind == Update && d.State == old.state:
		if outcome = m.renew(d, by, key, now); outcome != Applied {
			return outcome
		}
	}
	m.dropEarly(d.CallID, d.FromTag)
	if !known && m.count(d.CallID) >= m.perCall {
		return RefusedCall
	}
	delete(m.entries, key)
	m.entries[[3]string{d.CallID, d.FromTag, d.ToTag}] = e
	return outcome
}

func (m *model) early(key [3]string, e, old modelEntry, by said, known bool) Outcome {
	if known {
		switch {
		case old.state == Ended:
			return Late
		case e.state < old.state:
			return Stale
		case e.state == old.state:
			if outcome := m.renew(e.details, by, key, e.updated); outcome != Applied {
				return outcome
			}
		}
		m.entries[key] = e
		return BeganEarly
	}
	for k, x := range m.entries {
		if k[0] == key[0] && (x.state.Live() && k[1] == key[1] || x.state == Ended && (k[1] == key[1] || k[2] == key[1])) {
			return Late
		}
	}
	if m.count(key[0]) >= m.perCall {
		return RefusedCall
	}
	m.entries[key] = e
	return BeganEarly
}

func (m *model) end(d Details, by said, now int64, knowsStart bool) Outcome {
	start := d.Start
	if !knowsStart {
		start = 0
	}
	key := [3]string{d.CallID, d.FromTag, d.ToTag}
	old, known := m.entries[key]
	if mirrored := [3]string{d.CallID, d.ToTag, d.FromTag}; !known {
		if old, known = m.entries[mirrored]; known {
			key = mirrored
		}
	}
	stone := modelEntry{state: Ended, start: start, updated: now, origin: by.origin, deadline: now + int64(DefaultTombstone/time.Second)}
	outcome := Applied
	switch {
	case !known:
		outcome = Unknown
	case old.state == Ended:
		if old.start == 0 || start <= old.start {
			return Duplicate
		}
		outcome = Unknown
	case old.state.Live():
		if knowsStart && old.start > start {
			return Stale
		}
		stone.start = max(old.start, start)
	}
	delete(m.entries, key)
	m.dropEarly(d.CallID, d.FromTag)
	m.dropEarly(d.CallID, d.ToTag)
	if !known && m.count(d.CallID) >= m.perCall {
		return RefusedCall
	}
	m.entries[key] = stone
	return outcome
}

func (m *model) dropEarly(callID, from string) {
	maps.DeleteFunc(m.entries, func(k [3]string, e modelEntry) bool {
		return k[0] == callID && k[1] == from && e.state.BeingSetUp()
	})
}

func (m *model) count(callID string) (n int) {
	for k := range m.entries {
		if k[0] == callID {
			n++
		}
	}
	return n
}

func (m *model) expire(now int64) (gone Expired) {
	maps.DeleteFunc(m.entries, func(_ [3]string, e modelEntry) bool {
		if e.deadline > now {
			return false
		}
		gone.add(e.state)
		return true
	})
	return gone
}

func sameSaying(a, b Details) bool {
	diff := int64(a.Timeout) - int64(b.Timeout)
	a.Timeout, b.Timeout = 0, 0
	return a == b && diff >= -2 && diff <= 2
}

// held lists what the model holds, by key.
func (m *model) held() map[string]string {
	list := make(map[string]string)
	for k, e := range m.entries {
		list[fmt.Sprintf("%q", k)] = fmt.Sprintf("%v %d updated %d origin %d %+v", e.state, e.start, e.updated, e.origin, e.details)
	}
	return list
}

func held(t rapid.TB, table *Table) map[string]string {
	list := make(map[string]string)
	var cur Cursor
	for more := true; more; {
		more = table.Scan(&cur, func(v *View) {
			id, rest := v.Key().Part()
			from, rest := rest.Part()
			to, _ := rest.Part()
			var details Details
			if !v.Tombstone() {
				details = v.Body().Details()
			}
			key := fmt.Sprintf("%q", [3]string{string(id), string(from), string(to)})
			if _, twice := list[key]; twice {
				t.Errorf("%s scanned twice", key)
			}
			list[key] = fmt.Sprintf("%v %d updated %d origin %d %+v", v.State(), v.Start(), v.Updated(), v.Origin(), details)
		})
	}
	return list
}

// The table does what the model does, under random operations, with Call-IDs whose index hashes are equal or not.
func TestTableIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spread := rapid.Uint32Range(1, 3).Draw(t, "different tags")
		config := Config{
			Shards:     rapid.IntRange(1, 3).Draw(t, "shards"),
			MaxPerCall: rapid.IntRange(3, 6).Draw(t, "most of one call"),
			tag:        func(id []byte) uint32 { return uint32(id[len(id)-1]) % spread * 0x55555555 },
		}
		table, err := NewTable(config)
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		m := &model{entries: make(map[[3]string]modelEntry), perCall: config.MaxPerCall}
		now := int64(epoch)
		dialogs := rapid.Custom(func(t *rapid.T) Details {
			tags := rapid.SampledFrom([]string{"", "a", "b", "longer-tag"})
			return Details{
				CallID:  rapid.SampledFrom([]string{"c1", "c2", "call3", "call4"}).Draw(t, "call"),
				FromTag: tags.Draw(t, "from"), ToTag: tags.Draw(t, "to"),
				State: State(rapid.IntRange(1, 5).Draw(t, "state")), Start: rapid.Uint32Range(0, 3).Draw(t, "start"),
				CallerCSeq: rapid.SampledFrom([]string{"", "0", "7", "8", "x"}).Draw(t, "caller's CSeq"),
				CalleeCSeq: rapid.SampledFrom([]string{"", "0", "7", "8"}).Draw(t, "callee's CSeq"),
				Vars:       strings.Repeat("v", rapid.SampledFrom([]int{0, 1, 1, 2, 300, 5000, 60000}).Draw(t, "vars")),
				Timeout:    uint32(now + rapid.Int64Range(-100, 300).Draw(t, "timeout")),
			}
		})
		play := func(t *rapid.T, ev *Event, d Details, want func(said) Outcome) {
			by := said{origin: rapid.Uint16Range(0, 3).Draw(t, "origin")}
			if rapid.Bool().Draw(t, "from an appliance") {
				by.peer, by.moment = rapid.Uint16Range(1, 3).Draw(t, "peer"), uint32(now+rapid.Int64Range(-5, 5).Draw(t, "moment"))
			}
			ev.Hash, ev.Origin, ev.Peer, ev.Moment = steer(d.CallID), by.origin, by.peer, by.moment
			s := table.Lock(table.ShardOf(ev.Hash))
			s.Apply([]*Event{ev}, now)
			s.Unlock()
			if want := want(by); ev.Outcome != want {
				t.Fatalf("outcome %v, want %v", ev.Outcome, want)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"snapshot": func(t *rapid.T) {
				d := dialogs.Draw(t, "dialog")
				kind := rapid.SampledFrom([]Kind{Create, Update}).Draw(t, "kind")
				ev := new(Event)
				if fault := ParseSnapshot(d.AppendPacked(nil), kind, ev); fault != NoFault {
					t.Fatalf("fault %d", fault)
				}
				play(t, ev, d, func(by said) Outcome { return m.snapshot(kind, d, by, now) })
			},
			"delete": func(t *rapid.T) {
				d := dialogs.Draw(t, "dialog")
				ev := new(Event)
				if fault := ParseKey(d.AppendKey(nil), ev); fault != NoFault {
					t.Fatalf("fault %d", fault)
				}
				play(t, ev, d, func(by said) Outcome { return m.end(d, by, now, false) })
			},
			"time": func(t *rapid.T) {
				now += rapid.Int64Range(0, 70).Draw(t, "seconds")
				if got, want := table.Expire(now), m.expire(now); got != want {
					t.Fatalf("expired %+v, want %+v", got, want)
				}
			},
			"": func(t *rapid.T) { compare(t, table, m) },
		})
	})
}

func compare(t *rapid.T, table *Table, m *model) {
	got, want := held(t, table), m.held()
	for key := range want {
		if got[key] != want[key] {
			t.Fatalf("%s: %s, want %s", key, cut(got[key]), cut(want[key]))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	var counts Counts
	for k, e := range m.entries {
		counts.Bytes += entryHeader
		switch e.state {
		case Answered:
			counts.Answered++
		case Confirmed:
			counts.Confirmed++
		case Ended:
			counts.Tombstones++
			counts.Bytes += 12 + len(k[0]+k[1]+k[2])
		default:
			counts.Early++
		}
		if e.state != Ended {
			counts.Bytes += len(e.details.AppendPacked(nil))
		}
	}
	c := table.Counts()
	c.Dealt, c.Mapped, c.Limit, c.Clamped = 0, 0, 0, 0
	if c != counts {
		t.Fatalf("counts %+v, want %+v", c, counts)
	}
}

// cut shortens long variables in a message.
func cut(s string) string {
	if len(s) > 400 {
		return s[:200] + "..." + s[len(s)-200:]
	}
	return s
}
