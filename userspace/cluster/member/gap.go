package member

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"binrepd/userspace/wire/bin2"
)

// Packets that were lost may have announced ends. A sync brings what is missing here, but not the ends. So a node whose packets
// were lost is asked for a sync itself, and a call whose last change came from it is ended if the sync hasn't the call:
//
//	gap --the node is the donor of a sync--> its Call-IDs are noted --complete--> end what it hasn't --> gone
//	                     ^------ it failed, or another node was asked: up to doubtTries times ------'
//
// A node that loses its own calls must not end them here (spec bin-tcp, 3.7, W3). So a node that was restarted, or that filled its
// table again, is believed only about calls that it told of since. A sync with less than half as many dialogs as there are
// such calls here proves nothing.

// gapMargin is how long before the request for the sync a call must have changed last: a node sends with several processes.
const gapMargin = 2 * time.Second

// maxSpans bounds the syncs of a node that are remembered.
const maxSpans = 64

// gaps are the nodes of one cluster whose packets were lost. The Member's mutex guards them.
type gaps struct {
	open  map[int32]*gap
	lives map[int32]*life
	trial *Absence
	tried *gap // that the trial is about
}

type gap struct{ asked int }

// life is the time since which a node has been synced without a break.
type life struct {
	began time.Time
	syncs []span // that it answered in this life
}

// span is a time, in Unix seconds, both included.
type span struct{ from, to int64 }

// Absence is what a complete sync of a node says about the calls that it told of before.
type Absence struct {
	Cluster, Node int32

	within span   // of the last change
	except []span // when chunks of the node were applied, and these may be of calls of other nodes
	seed   maphash.Seed
	seen   []uint64 // hashes of the Call-IDs in the sync; sorted once it has ended
}

// Covers tells whether the sync decides about a dialog whose last change came from the node. updated is in Unix seconds.
func (a *Absence) Covers(updated uint32) bool {
	at := int64(updated)
	return at >= a.within.from && at <= a.within.to &&
		!slices.ContainsFunc(a.except, func(s span) bool { return at >= s.from && at <= s.to })
}

// Lacks tells whether the sync has no dialog with that Call-ID.
func (a *Absence) Lacks(callID []byte) bool {
	_, has := slices.BinarySearch(a.seen, maphash.Bytes(a.seed, callID))
	return !has
}

// happened notes that packets of a node were lost.
func (gs *gaps) happened(node int32) {
	if gs.open == nil {
		gs.open = map[int32]*gap{}
	}
	gs.open[node] = &gap{}
}

// unsynced forgets what a node could have proven: it was restarted, removed, or isn't synced any more.
func (gs *gaps) unsynced(node int32) {
	delete(gs.open, node)
	delete(gs.lives, node)
	if gs.trial != nil && gs.trial.Node == node {
		gs.trial = nil
	}
}

// synced begins the life of a node.
func (gs *gaps) synced(now time.Time, node int32) {
	if gs.lives == nil {
		gs.lives = map[int32]*life{}
	}
	if gs.lives[node] == nil {
		gs.lives[node] = &life{began: now}
	}
}

// first moves a node that is to be asked because of a gap to the front of the donors.
func (gs *gaps) first(donors, tried []int32) (node int32) {
	for _, id := range donors {
		if g := gs.open[id]; g != nil && g.asked < doubtTries && gs.lives[id] != nil && !slices.Contains(tried, id) {
			return id
		}
	}
	return 0
}

// asked begins a trial if there was a gap with the node that is asked for a sync, and it was synced before that.
func (gs *gaps) asked(now time.Time, cluster, node int32) {
	gs.trial = nil
	g, l := gs.open[node], gs.lives[node]
	if g == nil || l == nil {
		return
	}
	g.asked++
	gs.tried = g
	gs.trial = &Absence{Cluster: cluster, Node: node, within: span{l.began.Unix() + 1, now.Add(-gapMargin).Unix()},
		except: slices.Clone(l.syncs), seed: maphash.MakeSeed()}
}

// saw notes that a chunk of the sync has the dialog. A chunk that names none ends the trial: it could be any.
func (gs *gaps) saw(chunk []byte) {
	r := bin2.NewReader(chunk)
	callID := r.Str()
	if r.Err() != nil {
		gs.trial = nil
		return
	}
	gs.trial.seen = append(gs.trial.seen, maphash.Bytes(gs.trial.seed, callID))
}

// ended takes the end of a sync. It returns what the sync proves; nil: nothing.
func (gs *gaps) ended(r *SyncResult) *Absence {
	a := gs.trial
	gs.trial = nil
	if l := gs.lives[r.Donor]; l != nil {
		l.syncs = append(l.syncs, span{r.Began.Unix(), r.Ended.Unix() + 1})
		if len(l.syncs) > maxSpans { // older calls are left alone
			l.began = time.Unix(l.syncs[0].to, 0)
			l.syncs = slices.Delete(l.syncs, 0, 1)
		}
	}
	if a == nil || a.Node != r.Donor || !r.Complete || r.Announced < 0 {
		return nil
	}
	if gs.open[a.Node] == gs.tried { // no other gap meanwhile
		delete(gs.open, a.Node)
	}
	slices.Sort(a.seen)
	return a
}

// left returns a node that is to be asked yet; 0: none.
func (gs *gaps) left(donors []int32) int32 {
	for _, id := range slices.Sorted(maps.Keys(gs.open)) {
		if slices.Contains(donors, id) && gs.first([]int32{id}, nil) != 0 {
			return id
		}
	}
	return 0
}

// proves tells whether a sync of so many dialogs is to be believed about so many calls of its donor.
func proves(chunks, calls int) bool { return 2*chunks >= calls }

// askAboutGapsLocked wants a sync if another node is to be asked because of a gap.
func (m *Member) askAboutGapsLocked(now time.Time, donors []int32) {
	if id := m.gaps.left(donors); id != 0 && m.fill.reason == "" && m.fill.run.donor == 0 {
		m.fill.want(now, fmt.Sprintf("ends of calls of node %d may be missing", id), 0)
	}
}

// endAbsent ends the calls that are missing in the sync of the node that told of them.
func (m *Member) endAbsent(a *Absence, chunks int) {
	ended, calls := 0, 0
	for {
		var list []Suspect
		if list, calls = m.cfg.Judge.Absent(a); len(list) == 0 {
			break
		}
		if !proves(chunks, calls) {
			m.log.Warn("no call was ended: the sync of the node has far fewer dialogs than the node told of",
				"node", a.Node, "dialogs", chunks, "calls", calls)
			break
		}
		n := m.cfg.Judge.EndSuspects(list)
		if ended += n; n == 0 {
			break
		}
	}
	if ended > 0 {
		m.mu.Lock()
		m.doubts.removed += uint64(ended)
		m.mu.Unlock()
		m.log.Warn("calls were ended: packets of their node were lost, and its sync hasn't them", "node", a.Node, "calls", ended)
	}
}
