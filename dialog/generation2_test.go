package dialog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"binrepd/dialog/layout"
)

// say is one event of generation 2 of call "c", and the outcome that it must have.
type say struct {
	event string // create, update, delete, chunk, value, cseq
	hid   uint32
	text  string // values of a snapshot; "name=value" of a value, "name" to remove it; "tag=number" of a cseq
	start uint32
	state State
	want  Outcome
}

const typed = layout.Bin4Typed

// fieldsOf makes call "c" with tags a and b.
func fieldsOf(hid, start uint32, state State, values string) *layout.Fields {
	f := &layout.Fields{}
	for i, s := range map[layout.Field]string{
		layout.CallID: "c", layout.FromTag: "a", layout.ToTag: "b", layout.Values: values,
		layout.CallerSocket: "udp:192.0.2.1:5060", layout.CalleeSocket: "udp:192.0.2.1:5060",
	} {
		f.Strings[i] = []byte(s)
	}
	f.Numbers[layout.HID], f.Numbers[layout.Start], f.Numbers[layout.State] = hid, start, uint32(state)
	f.Numbers[layout.Timeout] = epoch + 3600
	return f
}

func snapshot2(t testing.TB, id layout.ID, kind Kind, f *layout.Fields) *Event {
	t.Helper()
	body, fault := f.Append(nil, id)
	var v layout.View
	if fault == layout.NoFault {
		fault = layout.Parse(id, body, &v)
	}
	if fault != layout.NoFault {
		t.Fatal(fault)
	}
	ev := new(Event)
	ev.SetSnapshot(&v, kind)
	ev.Hash = steer(string(f.Strings[layout.CallID]))
	return ev
}

func (s *say) make(t testing.TB, since uint8) *Event {
	t.Helper()
	ev := new(Event)
	fault := layout.NoFault
	name, value, has := strings.Cut(s.text, "=")
	var b []byte
	switch s.event {
	case "delete":
		m := layout.Deletion{CallID: []byte("c"), FromTag: []byte("a"), ToTag: []byte("b"), HID: s.hid, HasHID: true}
		b, _ = m.Append(nil, 4)
		fault = ev.SetDeletion(typed, b)
	case "value":
		m := layout.ValueChange{CallID: []byte("c"), HID: s.hid, Name: []byte(name), Text: []byte(value)}
		if has {
			m.Type = layout.Text
		}
		b, _ = m.Append(nil, 4)
		fault = ev.SetValue(typed, b)
	case "cseq":
		m := layout.CSeqChange{CallID: []byte("c"), Tag: []byte(name), OtherTag: []byte("b"), HID: s.hid, HasHID: true}
		if name == "b" {
			m.OtherTag = []byte("a")
		}
		if _, err := fmt.Sscan(value, &m.Number); err != nil {
			t.Fatal(err)
		}
		b, _ = m.Append(nil, 4)
		fault = ev.SetCSeq(typed, b)
	default:
		kind := map[string]Kind{"create": Create, "update": Update, "chunk": Chunk}[s.event]
		state := s.state
		if state == 0 {
			state = Answered
		}
		ev = snapshot2(t, typed, kind, fieldsOf(s.hid, s.start, state, s.text))
	}
	if fault != layout.NoFault {
		t.Fatalf("%+v: %v", s, fault)
	}
	ev.Hash, ev.Since = steer("c"), since
	return ev
}

// entries2 lists what the table holds of call "c", as "h_id state start values caller's/callee's CSeq", sorted.
func entries2(table *Table) []string {
	var list []string
	table.Get(steer("c"), []byte("c"), func(v *View) bool {
		m := layout.Deletion{}
		layout.ParseDeletion(v.Layout().Version(), v.AppendName(nil), &m)
		s := fmt.Sprintf("%d %v", m.HID, v.State())
		var w layout.View
		if !v.Tombstone() {
			if fault := layout.Parse(v.Layout(), v.Body(), &w); fault != layout.NoFault {
				s += fault.String()
			}
			s += fmt.Sprintf(" %d %s %d/%d", v.Start(), w.Bytes(layout.Values), w.Number(layout.CallerGenCSeq), w.Number(layout.CalleeGenCSeq))
		}
		list = append(list, s)
		return true
	})
	slices.Sort(list)
	return list
}

func TestRulesOfGeneration2(t *testing.T) {
	const x, y = "x#1#1|", "y#1#1|"
	for _, c := range []struct {
		name   string
		before []say // events before the sync is requested
		events []say
		left   []string
	}{
		{"create, update, delete", nil, []say{
			{"create", 7, x, 100, 3, Applied}, {"create", 7, x, 100, 3, Duplicate}, {"update", 7, y, 100, 4, Applied},
			{"update", 7, y, 100, 4, Duplicate}, {"update", 7, x, 100, 3, Stale}, {"delete", 7, "", 0, 0, Applied},
			{"delete", 7, "", 0, 0, Duplicate}, {"update", 7, x, 100, 4, Late}, {"create", 7, x, 200, 3, Applied},
		}, []string{"7 answered 200 x#1#1| 0/0"}},
		{"update of something unknown", nil, []say{{"update", 7, x, 100, 4, Recovered}}, []string{"7 confirmed 100 x#1#1| 0/0"}},
		{"a looped call has dialogs with the same tags", nil, []say{
			{"create", 7, x, 100, 3, Applied}, {"create", 8, y, 100, 3, Applied}, {"delete", 7, "", 0, 0, Applied},
			{"update", 8, y, 100, 4, Applied}, {"delete", 9, "", 0, 0, Unknown},
		}, []string{"7 ended", "8 confirmed 100 y#1#1| 0/0", "9 ended"}},
		{"values", nil, []say{
			{"create", 7, x, 100, 3, Applied}, {"value", 7, "y=1", 0, 0, Applied}, {"value", 7, "y=1", 0, 0, Duplicate},
			{"value", 7, "x", 0, 0, Applied}, {"value", 7, "x", 0, 0, Duplicate},
		}, []string{"7 answered 100 y#1#1| 0/0"}},
		{"a value grows", nil, []say{
			{"create", 7, "", 100, 3, Applied}, {"value", 7, "y=" + strings.Repeat("v", 30), 0, 0, Applied},
			{"value", 7, "z=" + strings.Repeat("v", 65000), 0, 0, Applied}, {"value", 7, "u=" + strings.Repeat("v", 600), 0, 0, RefusedChange},
			{"value", 7, "z", 0, 0, Applied},
		}, []string{"7 answered 100 y#1#" + strings.Repeat("v", 30) + "| 0/0"}},
		{"values of a dialog whose list is broken", nil, []say{
			{"create", 7, "broken", 100, 3, Applied}, {"value", 7, "y=1", 0, 0, RefusedChange},
		}, []string{"7 answered 100 broken 0/0"}},
		{"cseqs", nil, []say{
			{"create", 7, "", 100, 3, Applied}, {"cseq", 7, "a=5", 0, 0, Applied}, {"cseq", 7, "b=9", 0, 0, Applied},
			{"cseq", 7, "a=5", 0, 0, Duplicate}, {"cseq", 7, "a=4", 0, 0, Stale}, {"cseq", 7, "q=6", 0, 0, Unknown},
		}, []string{"7 answered 100  5/9"}},
		{"changes of an ended dialog", nil, []say{
			{"delete", 7, "", 0, 0, Unknown}, {"value", 7, "y=1", 0, 0, Late}, {"cseq", 7, "a=5", 0, 0, Late},
		}, []string{"7 ended"}},
		{"changes wait for a creation, in their order", nil, []say{
			{"value", 7, "y=1", 0, 0, Waiting}, {"value", 7, "y=2", 0, 0, Waiting}, {"cseq", 7, "a=5", 0, 0, Waiting},
			{"value", 7, "y=2", 0, 0, Duplicate}, {"value", 8, "z=2", 0, 0, Waiting}, {"create", 7, x, 100, 3, Applied},
			{"value", 7, "y=2", 0, 0, Duplicate},
		}, []string{"7 answered 100 y#1#2|x#1#1| 5/0"}},
		{"changes wait for a chunk, and don't touch", nil, []say{
			{"value", 7, "y=1", 0, 0, Waiting}, {"chunk", 7, x, 100, 3, Applied},
		}, []string{"7 answered 100 y#1#1|x#1#1| 0/0"}},
		{"changes wait behind the end of another dialog", nil, []say{
			{"delete", 8, "", 0, 0, Unknown}, {"value", 7, "y=1", 0, 0, Waiting}, {"create", 7, "", 100, 3, Applied},
		}, []string{"7 answered 100 y#1#1| 0/0", "8 ended"}},
		{"chunk of something new", nil, []say{{"chunk", 7, x, 100, 3, Applied}}, []string{"7 answered 100 x#1#1| 0/0"}},
		{"chunk of an ended dialog, whatever its start", nil, []say{
			{"delete", 7, "", 0, 0, Unknown}, {"chunk", 7, x, 900, 4, Late},
		}, []string{"7 ended"}},
		{"chunk of a dialog of which live events told", nil, []say{
			{"update", 7, y, 100, 4, Recovered}, {"chunk", 7, x, 100, 4, Duplicate}, {"chunk", 7, x, 200, 4, Duplicate},
		}, []string{"7 confirmed 100 y#1#1| 0/0"}},
		{"chunk of a dialog that a live event confirmed", []say{{"update", 7, y, 100, 4, Recovered}}, []say{
			{"update", 7, y, 100, 4, Duplicate}, {"chunk", 7, x, 100, 4, Duplicate},
		}, []string{"7 confirmed 100 y#1#1| 0/0"}},
		{"chunk of a dialog that a value touched", []say{{"update", 7, "", 100, 4, Recovered}}, []say{
			{"value", 7, "y=1", 0, 0, Applied}, {"chunk", 7, x, 100, 4, Duplicate},
		}, []string{"7 confirmed 100 y#1#1| 0/0"}},
		{"chunk with other content", []say{{"update", 7, y, 100, 4, Recovered}}, []say{
			{"chunk", 7, y, 100, 4, Duplicate}, {"chunk", 7, x, 100, 3, Duplicate}, {"chunk", 7, x, 90, 4, Duplicate},
			{"chunk", 7, x, 100, 4, Applied},
		}, []string{"7 confirmed 100 x#1#1| 0/0"}},
		{"chunk in a higher state", []say{{"create", 7, y, 100, 3, Applied}}, []say{{"chunk", 7, x, 100, 4, Applied}},
			[]string{"7 confirmed 100 x#1#1| 0/0"}},
		{"chunk of a newer call", []say{{"create", 7, y, 100, 4, Applied}}, []say{{"chunk", 7, x, 200, 3, Applied}},
			[]string{"7 answered 200 x#1#1| 0/0"}},
		{"chunk of an ended call", []say{{"create", 7, y, 100, 4, Applied}}, []say{
			{"chunk", 7, x, 200, 5, Late}, {"chunk", 8, x, 200, 5, Late},
		}, []string{"7 confirmed 100 y#1#1| 0/0"}},
	} {
		table := newTable(t, Config{})
		play := func(list []say, since uint8) {
			for i := range list {
				if got := apply(t, table, epoch, list[i].make(t, since))[0]; got != list[i].want {
					t.Errorf("%s: event %d is %v, want %v", c.name, i, got, list[i].want)
				}
			}
		}
		play(c.before, 0)
		play(c.events, table.BeginSync())
		if left := entries2(table); !slices.Equal(left, c.left) {
			t.Errorf("%s: left %.300q, want %.300q", c.name, left, c.left)
		}
	}
}

// Chunks that nobody requested change no dialog of which a live event ever told.
func TestChunkNobodyRequested(t *testing.T) {
	table := newTable(t, Config{})
	create, chunk := say{"create", 7, "x#1#1|", 100, 3, Applied}, say{"chunk", 7, "y#1#1|", 200, 4, Duplicate}
	other := say{"chunk", 8, "y#1#1|", 200, 4, Applied}
	got := apply(t, table, epoch, create.make(t, 0), chunk.make(t, 0), other.make(t, 0))
	if want := []Outcome{create.want, chunk.want, other.want}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Two syncs at the same time: each goes by its own request.
func TestTwoSyncs(t *testing.T) {
	table := newTable(t, Config{})
	first := table.BeginSync()
	create := say{"create", 7, "x#1#1|", 100, 3, Applied}
	apply(t, table, epoch, create.make(t, 0))
	second := table.BeginSync()
	for _, c := range []struct {
		since  uint8
		values string
		want   Outcome
	}{{first, "y#1#1|", Duplicate}, {second, "y#1#1|", Applied}, {first, "z#1#1|", Duplicate}} {
		chunk := say{event: "chunk", hid: 7, text: c.values, start: 100, state: 3}
		if got := apply(t, table, epoch, chunk.make(t, c.since))[0]; got != c.want {
			t.Errorf("%s since %d: %v, want %v", c.values, c.since, got, c.want)
		}
	}
	for range 300 {
		if table.BeginSync() == 0 {
			t.Fatal("a run is 0")
		}
	}
}

func TestWaitingIsBounded(t *testing.T) {
	table := newTable(t, Config{Shards: 1, MaxWaiting: 20})
	waiting := 0
	for hid := range uint32(maxWaitingPerCall + 2) {
		v := say{event: "value", hid: hid, text: "y=1"}
		if apply(t, table, epoch, v.make(t, 0))[0] == Waiting {
			waiting++
		}
	}
	if c := table.Counts(); waiting != maxWaitingPerCall || c.Waiting != waiting || c.Live() != 0 {
		t.Errorf("%d wait for one call, want %d; counts %+v", waiting, maxWaitingPerCall, c)
	}
	long := say{event: "value", hid: 1, text: "y=" + strings.Repeat("v", maxWaitingBody)}
	if got := apply(t, table, epoch, long.make(t, 0))[0]; got != Unknown {
		t.Errorf("a long one is %v", got)
	}
	for n := range 10 {
		m := layout.ValueChange{CallID: fmt.Append(nil, "other", n), HID: 1, Name: []byte("n")}
		b, _ := m.Append(nil, 4)
		ev := new(Event)
		ev.SetValue(typed, b)
		want := Waiting
		if n >= 20-maxWaitingPerCall {
			want = Unknown
		}
		if got := apply(t, table, epoch, ev)[0]; got != want || ev.Changed() != (want == Waiting) {
			t.Errorf("call %d: %v, want %v", n, got, want)
		}
	}
	// Nobody sees what waits, and it takes no room from dialogs.
	n := 0
	table.Get(steer("c"), []byte("c"), func(*View) bool { n++; return true })
	var cur Cursor
	for table.Scan(&cur, func(*View) { n++ }) {
	}
	if n != 0 {
		t.Errorf("%d entries visited", n)
	}
	if got := table.Expire(epoch + 63); got != (Expired{}) {
		t.Errorf("expired early: %+v", got)
	}
	if got := table.Expire(epoch + 64); got != (Expired{Waiting: 20}) || table.Counts().Waiting != 0 || table.Counts().Bytes != 0 {
		t.Errorf("expired %+v, counts %+v", got, table.Counts())
	}
}

// A dialog that comes in two layouts is one dialog.
func TestLayoutsOfOneDialog(t *testing.T) {
	for old := layout.UDP; old < layout.IDs; old++ {
		for id := layout.UDP; id < layout.IDs; id++ {
			table := newTable(t, Config{Shards: 1})
			create := snapshot2(t, old, Create, fieldsOf(7, 100, Answered, ""))
			f := fieldsOf(7, 100, Confirmed, "")
			f.Strings[layout.CallerCSeq] = []byte("5")
			newer := snapshot2(t, id, Update, f)
			f.Strings[layout.CallerCSeq] = []byte("4")
			older := snapshot2(t, old, Update, f)
			gone := new(Event)
			m := layout.Deletion{CallID: []byte("c"), FromTag: []byte("b"), ToTag: []byte("a"), HID: 7, HasHID: hasHID(old)}
			b, _ := m.Append(nil, old.Version())
			gone.SetDeletion(old, b)
			gone.Hash = steer("c")
			got := apply(t, table, epoch, create, newer, older)
			if want := []Outcome{Applied, Applied, Stale}; !slices.Equal(got, want) {
				t.Errorf("%v, then %v: %v, want %v", old, id, got, want)
			}
			table.Get(steer("c"), []byte("c"), func(v *View) bool {
				callID, from, to := v.Names()
				if v.Layout() != id || v.Timeout() != epoch+3600 || string(callID)+string(from)+string(to) != "cab" {
					t.Errorf("%v, then %v: held in %v until %d", old, id, v.Layout(), v.Timeout())
				}
				return true
			})
			if got := apply(t, table, epoch, gone)[0]; got != Applied {
				t.Errorf("%v, then %v: the end is %v", old, id, got)
			}
			if c := table.Counts(); c.Live() != 0 || c.Tombstones != 1 {
				t.Errorf("%v, then %v: %+v", old, id, c)
			}
		}
	}
}

// Changes of dialogs, and those that wait, take nothing from the heap.
func TestChangesAllocateNothing(t *testing.T) {
	table := newTable(t, Config{Shards: 1})
	var evs []*Event
	for hid := range uint32(8) {
		for _, s := range []say{
			{event: "value", hid: hid, text: "w=" + strings.Repeat("v", 100)}, {event: "cseq", hid: hid, text: "a=1"},
			{event: "create", hid: hid, text: "x#1#1|", start: 100}, {event: "update", hid: hid, text: "x#1#1|y#1#2|", start: 100, state: 4},
			{event: "value", hid: hid, text: "z=" + strings.Repeat("v", 300)}, {event: "value", hid: hid, text: "x"},
			{event: "cseq", hid: hid, text: "b=3"}, {event: "chunk", hid: hid, text: "x#1#1|", start: 100, state: 4}, {event: "delete", hid: hid},
		} {
			evs = append(evs, s.make(t, 0))
		}
	}
	now := int64(epoch)
	round := func() {
		s := table.Lock(0)
		s.Apply(evs, now)
		s.Unlock()
		now += 64
		table.Expire(now)
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations a round", n)
	}
	for _, ev := range evs {
		if ev.Outcome != Applied && ev.Outcome != Waiting && ev.Kind != Chunk {
			t.Errorf("%v is %v", ev.Kind, ev.Outcome)
		}
	}
}
