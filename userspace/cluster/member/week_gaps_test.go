package member

import (
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
)

// lostEnd is the end of a call that we weren't told.
type lostEnd struct {
	call *weekCall
	at   time.Time
}

// ownSync is a complete sync that was asked for after a gap with its donor.
type ownSync struct{ synced, began, ended time.Time }

// weekGaps is what the model remembers of gaps.
type weekGaps struct {
	owned, answered map[int32][]ownSync // by donor: syncs that prove something, and all
	ended           int                 // calls that a sync of their node lacked
}

// weekJudge is the judge of the model.
type weekJudge struct{ w *weekWorld }

func (j weekJudge) Suspects(Doubt) []Suspect { return nil }

func (j weekJudge) Absent(a *Absence) (list []Suspect, covered int) {
	var cur dialog.Cursor
	for more := true; more; {
		more = j.w.table.Scan(&cur, func(v *dialog.View) {
			if !v.State().Live() || int32(v.Origin()) != a.Node || !a.Covers(v.Updated()) {
				return
			}
			covered++
			if name := v.Name(); a.Lacks(name.CallID()) {
				list = append(list, Suspect{name, v.Updated()})
			}
		})
	}
	return list, covered
}

func (j weekJudge) EndSuspects(list []Suspect) int {
	for _, s := range list {
		callID := string(s.Name.CallID())
		if j.w.calls[callID] != nil || j.w.lostEnds[callID] == nil {
			j.w.t.Errorf("%s was ended and lives", callID)
		}
		var ev dialog.Event
		ev.SetDeletion(s.Name.Layout, s.Name.Deletion)
		ev.Hash = packets.Steering{}.CallID(ev.CallID())
		shard := j.w.table.Lock(j.w.table.ShardOf(ev.Hash))
		shard.Apply([]*dialog.Event{&ev}, j.w.now.Unix())
		shard.Unlock()
		j.w.gaps.ended++
	}
	return len(list)
}

// syncEnded does what Member does at the end of a sync.
func (w *weekWorld) syncEnded(r *SyncResult) {
	m := w.member
	w.syncs++
	if r.Complete {
		var others []int32
		for _, id := range m.donorsLocked() {
			if id != r.Donor {
				others = append(others, id)
			}
		}
		m.askAboutGapsLocked(w.now, others)
	}
	if r.Donor != 0 {
		w.gaps.answered[r.Donor] = append(w.gaps.answered[r.Donor], ownSync{began: r.Began, ended: r.Ended})
	}
	if a := m.gaps.ended(r); a != nil {
		if r.Chunks > 0 {
			w.gaps.owned[r.Donor] = append(w.gaps.owned[r.Donor], ownSync{w.nodes[r.Donor].synced, r.Began, r.Ended})
		}
		m.endAbsent(a, r.Chunks)
	}
}

// decided tells whether a sync of the call's node has told that the call has ended: the node has been synced since before the call,
// and was asked after the end. We were told all of the call, and not while the node answered a sync, when a chunk of it may
// have been of the call.
func (w *weekWorld) decided(e *lostEnd) bool {
	c := e.call
	if c.untold {
		return false
	}
	for _, s := range w.gaps.answered[c.owner] {
		if c.made.Add(2*time.Second).After(s.began) && c.made.Add(-2*time.Second).Before(s.ended) {
			return false
		}
	}
	for _, s := range w.gaps.owned[c.owner] {
		if s.began.After(e.at) && s.began.After(c.made.Add(2*gapMargin)) && c.made.After(s.synced.Add(2*time.Second)) {
			return true
		}
	}
	return false
}

// begins takes the end of a sync, and tells whether another one begins.
func (w *weekWorld) begins() bool {
	m := w.member
	donors := m.donorsLocked()
	m.fill.gapped = m.gaps.first(donors, m.fill.tried)
	begin, ended := m.fill.step(w.now, donors, m.upLocked()), m.fill.ended
	if m.fill.ended = nil; ended != nil {
		w.syncEnded(ended)
	}
	return begin
}
