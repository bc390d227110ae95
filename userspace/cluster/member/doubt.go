package member

import (
	"maps"
	"slices"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin2"
)

// A node of OpenSIPS 3.2 or later that fills its table by a sync drops, at the end of that, calls that it accepted meanwhile,
// and sends no deletion for them (spec bin-tcp, 10.4 item 11). Every other node keeps them as ghosts, so a sync of another
// node proves nothing. What proves it is a complete sync of that node itself, after its own has ended, that hasn't the call:
//
//	open --the node is synced--> closed --Doubt--> look: no suspect --> gone
//	                                                |
//	                                                '--> ask that node for a sync --complete--> end what it hasn't --> gone
//	                                                            ^------ pause --- failed, or another node was asked
//
// A dialog that changes meanwhile is left alone, and so is one whose chunk came.

const (
	// doubtMargin is how much earlier than its first sign the new life of a node may have announced calls.
	doubtMargin = time.Second
	// doubtSkew is how far a node's clock may be behind ours.
	doubtSkew = time.Minute
	// doubtTries is how often a node is asked. After that its suspects are only listed.
	doubtTries = 3
)

// Doubt is the time in which a node may have accepted calls that it then dropped.
type Doubt struct {
	Cluster int32     `json:"cluster_id"`
	Node    int32     `json:"node_id"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"` // zero: the node isn't synced yet
	// Suspects is the number of calls when they were looked for last, Asked how often the node was asked for a sync.
	Suspects int `json:"suspects"`
	Asked    int `json:"asked"`
}

// Covers tells whether a dialog whose last change came from the node is a suspect: it began in the time of doubt, and
// nothing was said of it since. start and updated are Unix seconds, start by the node's clock.
func (d *Doubt) Covers(start, updated uint32) bool {
	return !d.Until.IsZero() && int64(updated) >= d.Since.Unix() && int64(updated) <= d.Until.Unix() &&
		int64(start) >= d.Since.Add(-doubtSkew).Unix()
}

// Suspect is a call that a node may have dropped.
type Suspect struct {
	Name    dialog.Name
	Updated uint32 // Unix seconds of the last change
}

// Judge finds suspects in the table, and ends them. The appliance is one.
type Judge interface {
	// Suspects returns the live dialogs whose last change came from the node of the doubt, and that it covers.
	Suspects(d Doubt) []Suspect
	// Absent returns the live dialogs whose last change came from the node, that the sync covers, and that it lacks, and the
	// number of all that it covers.
	Absent(a *Absence) (list []Suspect, covered int)
	// EndSuspects ends those that didn't change since, and returns how many these were.
	EndSuspects(list []Suspect) int
}

// doubts are those of one cluster. The Member's mutex guards them.
type doubts struct {
	open    map[int32]*doubt
	looking bool // a goroutine looks for suspects, or ends them
	trial   *trial
	removed uint64 // suspects that were ended
}

type doubt struct {
	Doubt
	due      time.Time // when to look; zero: not yet
	suspects []Suspect
}

// trial is a sync that is to prove what became of suspects.
type trial struct {
	node     int32
	suspects map[string]Suspect // by what names them in a chunk
}

// begin opens a doubt: the node isn't synced.
func (ds *doubts) begin(now time.Time, cluster, node int32) {
	if ds.open == nil {
		ds.open = map[int32]*doubt{}
	}
	if d := ds.open[node]; d != nil && d.Until.IsZero() {
		return
	}
	ds.open[node] = &doubt{Doubt: Doubt{Cluster: cluster, Node: node, Since: now.Add(-doubtMargin)}}
}

// end closes a doubt: the node is synced now. What it is still to say of the calls comes within pause.
func (ds *doubts) end(now time.Time, node int32, pause time.Duration) {
	if d := ds.open[node]; d != nil && d.Until.IsZero() {
		d.Until, d.due = now, now.Add(pause)
	}
}

// next returns when there is something to look for; the zero time: never.
func (ds *doubts) next() (next time.Time) {
	if ds.looking {
		return next
	}
	for _, d := range ds.open {
		if !d.due.IsZero() && (next.IsZero() || d.due.Before(next)) {
			next = d.due
		}
	}
	return next
}

// take returns a doubt that is due; nil: none.
func (ds *doubts) take(now time.Time) *doubt {
	if ds.looking {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(ds.open)) {
		if d := ds.open[id]; !d.due.IsZero() && !now.Before(d.due) {
			return d
		}
	}
	return nil
}

// found notes what was found, and tells whether the node is to be asked for a sync.
func (ds *doubts) found(now time.Time, d *doubt, list []Suspect, pause time.Duration) (ask bool) {
	switch {
	case ds.open[d.Node] != d: // a new life began meanwhile
		return false
	case len(list) == 0:
		delete(ds.open, d.Node)
		return false
	}
	d.suspects, d.Suspects = list, len(list)
	if d.Asked >= doubtTries {
		d.due = time.Time{} // they are listed until the node's next life, or until they expire
		return false
	}
	d.Asked++
	d.due = now.Add(pause << d.Asked)
	return true
}

// asked begins a trial if the node that is asked for a sync has suspects.
func (ds *doubts) asked(node int32) {
	ds.trial = nil
	d := ds.open[node]
	if d == nil || len(d.suspects) == 0 {
		return
	}
	t := &trial{node: node, suspects: make(map[string]Suspect, len(d.suspects))}
	for _, s := range d.suspects {
		t.suspects[string(s.Name.Deletion)] = s
	}
	ds.trial = t
}

// saw notes that a chunk of the sync has the dialog. A chunk that names none ends the trial: it could be any.
func (ds *doubts) saw(chunk []byte) {
	r := bin2.NewReader(chunk)
	key := 0
	for i := range 5 { // Call-ID, tags, URIs
		if r.Str(); i == 2 {
			key = len(chunk) - r.Left()
		}
	}
	if r.Int(); r.Err() != nil {
		ds.trial = nil
		return
	}
	hid := len(chunk) - r.Left() - 4
	delete(ds.trial.suspects, string(chunk[:key]))
	delete(ds.trial.suspects, string(chunk[:key])+string(chunk[hid:hid+4]))
}

// proven ends the trial with the end of its sync, and returns the suspects that the node hasn't. Only a sync whose end
// tells the number of dialogs proves that something is missing.
func (ds *doubts) proven(r *SyncResult) (list []Suspect) {
	t := ds.trial
	ds.trial = nil
	if t == nil || t.node != r.Donor || !r.Complete || r.Announced < 0 {
		return nil
	}
	delete(ds.open, t.node)
	return slices.Collect(maps.Values(t.suspects))
}

// list returns the doubts by node.
func (ds *doubts) list() []Doubt {
	list := make([]Doubt, 0, len(ds.open))
	for _, id := range slices.Sorted(maps.Keys(ds.open)) {
		list = append(list, ds.open[id].Doubt)
	}
	return list
}
