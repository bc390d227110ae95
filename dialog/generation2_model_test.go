package dialog

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model2 is what a table holds of call "c" in generation 2, in its plainest form: the rules with no regard for speed. All
// its dialogs have the same start, and contents differ in one value only.
type model2 struct {
	state   map[uint32]State // by h_id; Ended: a tombstone
	values  map[uint32]string
	touched map[uint32]int      // number of the sync that was requested last when a live event told of the dialog
	waiting map[uint32][]string // values that wait
	past    map[uint32][]string
	sync    int
}

func (m *model2) store(hid uint32, state State, value string, live bool) {
	m.state[hid], m.values[hid] = state, value
	m.past[hid] = nil
	if live {
		m.touched[hid] = m.sync
	}
	for _, v := range m.waiting[hid] {
		if m.values[hid] != v {
			m.values[hid], m.touched[hid] = v, m.sync
		}
	}
	delete(m.waiting, hid)
}

func (m *model2) play(kind Kind, hid uint32, state State, value string, since int) Outcome {
	is := m.state[hid]
	switch {
	case kind == Delete:
		m.state[hid] = Ended
		delete(m.values, hid)
		switch is {
		case 0:
			return Unknown
		case Ended:
			return Duplicate
		}
		return Applied
	case is == Ended:
		return Late
	case kind == Value && is == 0:
		if slices.Contains(m.waiting[hid], value) {
			return Duplicate
		}
		m.waiting[hid] = append(m.waiting[hid], value)
		return Waiting
	case kind == Value:
		if m.values[hid] == value {
			return Duplicate
		}
		m.values[hid], m.touched[hid] = value, m.sync
		return Applied
	case is == 0:
		m.store(hid, state, value, kind != Chunk)
		if kind == Update {
			return Recovered
		}
		return Applied
	case kind == Chunk && m.touched[hid] > 0 && m.touched[hid] >= since:
		return Duplicate
	case state > is:
		m.store(hid, state, value, kind != Chunk)
		return Applied
	case kind != Update && (kind == Create || state < is):
		return Duplicate
	case state < is:
		return Stale
	case m.values[hid] == value:
		if kind == Update {
			m.touched[hid] = m.sync
		}
		return Duplicate
	}
	return NoOutcome // what is newer of two contents that nothing orders is told by other tests
}

// The table does what the model does with the events of generation 2, under random operations.
func TestGeneration2IsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, err := NewTable(Config{Shards: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		m := &model2{map[uint32]State{}, map[uint32]string{}, map[uint32]int{}, map[uint32][]string{}, map[uint32][]string{}, 1}
		since := map[int]uint8{}
		t.Repeat(map[string]func(*rapid.T){
			"sync": func(*rapid.T) {
				m.sync++
				since[m.sync] = table.BeginSync()
			},
			"event": func(t *rapid.T) {
				kind := rapid.SampledFrom([]Kind{Create, Update, Delete, Value, Value, Chunk, Chunk}).Draw(t, "kind")
				hid := rapid.Uint32Range(1, 3).Draw(t, "h_id")
				state := State(rapid.IntRange(3, 4).Draw(t, "state"))
				value := rapid.SampledFrom([]string{"1", "2", "much longer than the others are"}).Draw(t, "value")
				of := 2 + rapid.IntRange(0, max(m.sync-2, 0)).Draw(t, "sync")
				if m.sync == 1 {
					of = 0 // nobody requested one
				}
				want := m.play(kind, hid, state, value, of)
				if want == NoOutcome {
					return
				}
				s := say{event: kind.String(), hid: hid, state: state, start: 100, text: "v#1#" + value + "|"}
				if kind == Value {
					s.text = "v=" + value
				}
				ev := make2(&s, since[of])
				sh := table.Lock(0)
				sh.Apply([]*Event{ev}, epoch)
				sh.Unlock()
				if ev.Outcome != want {
					t.Fatalf("%+v is %v, want %v", s, ev.Outcome, want)
				}
			},
			"": func(t *rapid.T) {
				var want []string
				for _, hid := range slices.Sorted(maps.Keys(m.state)) {
					w := fmt.Sprintf("%d %v", hid, m.state[hid])
					if m.state[hid] != Ended {
						w += fmt.Sprintf(" 100 v#1#%s| 0/0", m.values[hid])
					}
					want = append(want, w)
				}
				if got := entries2(table); !slices.Equal(got, want) {
					t.Fatalf("%q, want %q", got, want)
				}
			},
		})
	})
}

// make2 is say.make for a test without a *testing.T.
func make2(s *say, since uint8) *Event { return s.make(new(testing.T), since) }
