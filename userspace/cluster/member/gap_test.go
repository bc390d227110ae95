package member

import (
	"log/slog"
	"testing"
	"time"
)

// TestWhatAGapProves: what a sync after a gap proves about calls of its donor, and what proves nothing.
func TestWhatAGapProves(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	_, chunk := suspectOf(t, "kept", 1)
	complete := SyncResult{Donor: 1, Began: at(100), Ended: at(103), Complete: true, Chunks: 1, Announced: 1}
	gapped := func(gs *gaps) {
		gs.synced(at(0), 1)
		gs.happened(1)
	}
	ask := func(gs *gaps) { gs.asked(at(100), 7, 1) }
	type step = func(*gaps)
	for name, test := range map[string]struct {
		steps         []step
		end           SyncResult
		proven, again bool // something is proven; the node is to be asked again
	}{
		"its own sync":                  {[]step{gapped, ask}, complete, true, false},
		"no gap":                        {[]step{func(gs *gaps) { gs.synced(at(0), 1) }, ask}, complete, false, false},
		"a gap with another node":       {[]step{func(gs *gaps) { gs.synced(at(0), 1); gs.happened(2) }, ask}, complete, false, false},
		"not synced":                    {[]step{func(gs *gaps) { gs.happened(1) }, ask}, complete, false, false},
		"restarted since":               {[]step{gapped, func(gs *gaps) { gs.unsynced(1); gs.synced(at(90), 1) }, ask}, complete, false, false},
		"restarted meanwhile":           {[]step{gapped, ask, func(gs *gaps) { gs.unsynced(1); gs.synced(at(101), 1) }}, complete, false, false},
		"another gap meanwhile":         {[]step{gapped, ask, func(gs *gaps) { gs.happened(1) }}, complete, true, true},
		"a failed sync":                 {[]step{gapped, ask}, SyncResult{Donor: 1, Announced: 1}, false, true},
		"no number was announced":       {[]step{gapped, ask}, SyncResult{Donor: 1, Complete: true, Announced: -1}, false, true},
		"a sync of another node":        {[]step{gapped, func(gs *gaps) { gs.asked(at(100), 7, 2) }}, SyncResult{Donor: 2, Complete: true}, false, true},
		"a chunk that can't be read":    {[]step{gapped, ask, func(gs *gaps) { gs.saw(chunk[:3]) }}, complete, false, true},
		"asked three times, and failed": {[]step{gapped, ask, ask, ask}, SyncResult{Donor: 1, Announced: 1}, false, false},
	} {
		gs := &gaps{}
		for _, do := range test.steps {
			do(gs)
		}
		if a := gs.ended(&test.end); (a != nil) != test.proven {
			t.Errorf("%s: proven %v", name, a)
		}
		if id := gs.left([]int32{1, 2}); (id == 1) != test.again || id == 2 {
			t.Errorf("%s: node %d is to be asked", name, id)
		}
	}

	// Which calls a sync decides about. One that node 1 answered earlier may have brought calls of other nodes.
	gs := &gaps{}
	gs.synced(at(0), 1)
	gs.ended(&SyncResult{Donor: 1, Began: at(50), Ended: at(55)})
	gs.happened(1)
	if id := gs.first([]int32{2, 1}, nil); id != 1 || gs.first([]int32{2, 1}, []int32{1}) != 0 {
		t.Errorf("node %d is asked first", id)
	}
	ask(gs)
	gs.saw(chunk)
	a := gs.ended(&complete)
	for second, want := range map[int]bool{-1: false, 0: false, 1: true, 49: true, 50: false, 56: false, 57: true, 98: true, 99: false, 101: false} {
		if got := a.Covers(uint32(at(second).Unix())); got != want {
			t.Errorf("a call that changed last in second %d: %v", second, got)
		}
	}
	if a.Lacks([]byte("kept")) || !a.Lacks([]byte("gone")) {
		t.Error("the wrong calls are missing")
	}
	if !proves(1, 2) || proves(1, 3) || proves(0, 1) {
		t.Error("the share of calls that a sync must have")
	}

	// The memory of syncs is bounded. Calls from before it are left alone.
	for i := range 2 * maxSpans {
		gs.ended(&SyncResult{Donor: 1, Began: at(1000 + 10*i), Ended: at(1005 + 10*i)})
	}
	gs.happened(1)
	gs.asked(at(5000), 7, 1)
	if a := gs.trial; len(a.except) != maxSpans || a.Covers(uint32(at(500).Unix())) || !a.Covers(uint32(at(4000).Unix())) {
		t.Errorf("%d syncs, from %v", len(a.except), a.within)
	}
}

// fakeJudge has so many calls of a node, none of which the node's sync has.
type fakeJudge struct{ calls int }

func (j *fakeJudge) Suspects(Doubt) []Suspect               { return nil }
func (j *fakeJudge) Absent(*Absence) ([]Suspect, int)       { return make([]Suspect, j.calls), j.calls }
func (j *fakeJudge) EndSuspects(list []Suspect) (ended int) { j.calls -= len(list); return len(list) }

// TestAnEmptiedNodeEndsNothing: a node that lost its calls has few in its sync (spec bin-tcp, 3.7, W3).
func TestAnEmptiedNodeEndsNothing(t *testing.T) {
	for chunks, left := range map[int]int{0: 100, 49: 100, 50: 0, 1000: 0} {
		j := &fakeJudge{100}
		m := &Member{cfg: Config{Judge: j}, log: slog.New(slog.DiscardHandler)}
		m.endAbsent(&Absence{Node: 1}, chunks)
		if j.calls != left || m.doubts.removed != uint64(100-left) {
			t.Errorf("a sync of %d dialogs leaves %d calls of 100, and %d were ended", chunks, j.calls, m.doubts.removed)
		}
	}
}
