package dialog

import (
	"fmt"
	"math"
	"testing"
)

func TestCompareCSeqs(t *testing.T) {
	for _, c := range []struct {
		caller, callee           string // of a
		otherCaller, otherCallee string // of b
		want                     int
	}{
		{"1", "1", "1", "1", 0},
		{"2", "1", "1", "1", 1},
		{"1", "1", "1", "2", -1},
		{"2", "2", "1", "1", 2},
		{"2", "1", "1", "2", 0},          // grown on one side each: nothing tells
		{"0", "1", "102", "1", 0},        // 0 is not known, not older
		{"0", "2", "102", "1", 1},        // and the other side tells alone
		{"", "1", "5", "1", 0},           // not there
		{"x", "1", "5", "1", 0},          // no number
		{"9", "1", "10", "1", -1},        // numbers, not text
		{"007", "1", "7", "1", 0},        // the same number
		{"4294967296", "1", "5", "1", 0}, // beyond 32 bits: no CSeq
		{"4294967295", "1", "5", "1", 1},
	} {
		a := Details{CallID: "c", FromURI: "sip:x", CallerSocket: "udp:1.2.3.4:5060", CallerCSeq: c.caller, CalleeCSeq: c.callee}
		b := Details{CallID: "c", ToURI: "sip:yy", CallerCSeq: c.otherCaller, CalleeCSeq: c.otherCallee}
		if got := compareCSeqs(a.AppendPacked(nil), b.AppendPacked(nil)); got != c.want {
			t.Errorf("%s/%s against %s/%s: %d, want %d", c.caller, c.callee, c.otherCaller, c.otherCallee, got, c.want)
		}
	}
}

// TestWhatASourceSaidLastIsTheState toggles a call, with equal CSeqs, as hold and resume may.
func TestWhatASourceSaidLastIsTheState(t *testing.T) {
	table := newTable(t, Config{Shards: 1})
	for _, content := range []string{"x", "y", "x", "y", "y", "x"} {
		e := told{event: "update", from: "a", to: "b", state: 4, start: 100, vars: content}
		apply(t, table, epoch, e.make(t))
		if got, want := fmt.Sprint(entries(table)), "[a/b confirmed 100 "+content+"]"; got != want {
			t.Errorf("after %s: %s", content, got)
		}
	}
}

// TestOldContent says which of two contents with equal CSeqs is newer, by who said them and when.
func TestOldContent(t *testing.T) {
	for _, c := range []struct {
		name           string
		seconds        int64 // between the two
		first, second  said
		firstX, stored bool // the first content is the greater one by its bytes; the second one is stored
	}{
		{"one proxy", 0, said{origin: 1}, said{origin: 1}, false, true},
		{"another proxy, at once", 0, said{origin: 1}, said{origin: 2}, false, false},
		{"another proxy, a second later", 1, said{origin: 1}, said{origin: 2}, false, false},
		{"another proxy that took the call over", settleTime, said{origin: 1}, said{origin: 2}, false, true},
		{"a proxy after an appliance", 0, said{origin: 1, peer: 7, moment: epoch}, said{origin: 2}, false, true},
		{"one appliance, in order", 0, said{peer: 7, moment: 5}, said{peer: 7, moment: 6}, false, true},
		{"one appliance, out of order", 9, said{peer: 7, moment: 6}, said{peer: 7, moment: 5}, false, false},
		{"two appliances", 0, said{peer: 7, moment: 5}, said{peer: 8, moment: 6}, false, true},
		{"two appliances, out of order", 9, said{peer: 7, moment: 6}, said{peer: 8, moment: 5}, false, false},
		{"two appliances at once, the greater one last", 0, said{peer: 7, moment: 5}, said{peer: 8, moment: 5}, false, true},
		{"two appliances at once, the greater one first", 0, said{peer: 7, moment: 5}, said{peer: 8, moment: 5}, true, false},
		{"an appliance with what it took in earlier", 0, said{origin: 1}, said{peer: 8, moment: epoch - 1}, false, false},
		{"an appliance with what it took in later", 0, said{origin: 1}, said{peer: 8, moment: epoch + 1}, false, true},
	} {
		table := newTable(t, Config{Shards: 1})
		contents := [2]string{"x", "y"}
		if c.firstX {
			contents = [2]string{"y", "x"}
		}
		for i, by := range [2]said{c.first, c.second} {
			e := told{event: "update", from: "a", to: "b", state: 4, start: 100, vars: contents[i]}
			ev := e.make(t)
			ev.Origin, ev.Peer, ev.Moment = by.origin, by.peer, by.moment
			apply(t, table, epoch+int64(i)*c.seconds, ev)
			if stored := ev.Outcome != Stale; i == 1 && stored != c.stored {
				t.Errorf("%s: %v", c.name, ev.Outcome)
			}
		}
	}
}

// TestMomentsGrow: what a proxy says after an appliance has a later moment than what that appliance said.
func TestMomentsGrow(t *testing.T) {
	table := newTable(t, Config{Shards: 1})
	update := func(content string, now int64, by said) *Event {
		e := told{event: "update", from: "a", to: "b", state: 4, start: 100, vars: content}
		ev := e.make(t)
		ev.Origin, ev.Peer, ev.Moment = by.origin, by.peer, by.moment
		apply(t, table, now, ev)
		return ev
	}
	for i, c := range []struct {
		content string
		now     int64
		by      said
		moment  uint32
	}{
		{"x", epoch, said{}, epoch},
		{"y", epoch, said{}, epoch + 1},
		{"z", epoch, said{peer: 3, moment: epoch + 90}, epoch + 90},
		{"x", epoch + 1, said{}, epoch + 91},
		{"y", epoch + 200, said{}, epoch + 200},
	} {
		if ev := update(c.content, c.now, c.by); ev.Moment != c.moment {
			t.Errorf("step %d: moment %d, want %d", i, ev.Moment-epoch, c.moment-epoch)
		}
	}
	again := update("y", epoch+200, said{peer: 3, moment: epoch + 200})
	later := update("y", epoch+200, said{peer: 3, moment: epoch + 201})
	if again.Outcome != Duplicate || again.Confirms || later.Outcome != Duplicate || !later.Confirms {
		t.Errorf("the same content: %+v, and at a later moment: %+v", again, later)
	}
	if ev := update("z", epoch+200, said{peer: 4, moment: epoch + 200}); ev.Outcome != Stale {
		t.Errorf("content between the two moments: %v", ev.Outcome)
	}
}

// TestAHurriedCall: contents that nothing orders may go round by way of an appliance that passes events on without a mark. A
// call takes a bounded number of them.
func TestAHurriedCall(t *testing.T) {
	table := newTable(t, Config{Shards: 1})
	update := func(i int, now int64) Outcome {
		e := told{event: "update", from: "a", to: "b", state: 4, start: 100, vars: fmt.Sprint(i % 5)}
		return apply(t, table, now, e.make(t))[0]
	}
	taken := 0
	for i := range 10 * hurryLimit {
		if update(i, epoch).Changed() {
			taken++
		}
	}
	if taken != hurryLimit {
		t.Errorf("%d contents taken at once, want %d", taken, hurryLimit)
	}
	for second := int64(1); second < 20; second++ {
		taken = 0
		for i := range 100 {
			if update(i, epoch+second) == Applied {
				taken++
			}
		}
		if taken > 1 {
			t.Errorf("second %d: %d contents taken", second, taken)
		}
	}
	if update(1, epoch+1000) == Stale && update(2, epoch+1000) == Stale {
		t.Error("a call that has calmed down takes nothing")
	}
}

func TestMarkIsKept(t *testing.T) {
	e := make(entry, entryHeader)
	for _, m := range []mark{{}, {1, 2, 3}, {math.MaxUint32, MaxPeer, hurryLimit + 1}, {0, MaxPeer, 0}, {0, 0, 0xfff}, {7, 0x123, 0x456}} {
		e.setMark(m)
		if got := e.mark(); got != m {
			t.Errorf("%+v became %+v", m, got)
		}
	}
}
