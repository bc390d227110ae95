package conflicts

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxDialogs bounds the list. What finds no room is counted.
	maxDialogs = 4096
	// keep is how long a dialog stays on the list after its last event, if another one needs its place.
	keep = 24 * time.Hour
)

// Book knows who claims which tag, and which dialogs were changed by more than one claimant. Its methods may be called
// by several goroutines.
type Book struct {
	fence  bool
	claims atomic.Pointer[Claims] // nil: no tag was ever moved

	mu      sync.Mutex // guards what is below; a worker takes it only for an event that is in a conflict
	grace   time.Duration
	dialogs map[name]*Dialog
	sums    Sums
	sides   map[side]*Side
}

// name tells dialogs apart.
type name struct {
	cluster             int32
	callID, fromTag, to string
}

type side struct {
	cluster, node int32
	tag           string
}

// Dialog is a call that an older claimant changed, or tried to.
type Dialog struct {
	Cluster int32
	Tag     string
	// CallID, FromTag and ToTag are bytes as they came.
	CallID, FromTag, ToTag string
	Older, Newer           int32
	// ByOlder and ByNewer count the events of each since the first of the older one. Of the newer one only those that
	// changed the dialog count.
	ByOlder, ByNewer uint64
	// Both tells that the newer claimant changed the dialog, too, since it claimed the tag.
	Both bool
	// Refused counts those of ByOlder that were refused (fence).
	Refused     uint64
	First, Last time.Time // of the older claimant's events
}

// Sums count since the start.
type Sums struct {
	Events  uint64 // of older claimants, refused ones too
	Refused uint64
	Dialogs int // on the list
	Both    int // of them, changed by both sides
	More    uint64
}

// Side counts the events of one older claimant of a tag.
type Side struct {
	Cluster, Node   int32
	Tag             string
	Events, Refused uint64
}

// New returns an empty Book. fence tells that events of older claimants are refused. A grace of 0 is DefaultGrace.
func New(fence bool, grace time.Duration) *Book {
	if grace == 0 {
		grace = DefaultGrace
	}
	return &Book{fence: fence, grace: grace, dialogs: map[name]*Dialog{}, sides: map[side]*Side{}}
}

// Fence tells whether events of older claimants are refused.
func (b *Book) Fence() bool { return b.fence }

// Claims returns who claims the tags that were moved; nil if none was.
func (b *Book) Claims() *Claims {
	if b == nil {
		return nil
	}
	return b.claims.Load()
}

// Claim notes that node has claimed a tag, which previous had claimed before; 0: nobody had.
func (b *Book) Claim(now time.Time, cluster, node int32, tag string, previous int32) {
	if previous == 0 || previous == node {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.claims.Load()
	if c == nil {
		c = &Claims{grace: int64(b.grace)}
	}
	b.claims.Store(c.with(now.UnixNano(), cluster, node, tag, previous))
}

// Event is one that is in a conflict.
type Event struct {
	Verdict
	Node, Newer int32
	Cluster     uint16
	Tag         string
	Received    int64 // Unix ns
	// Both tells that the newer claimant has changed the dialog since it claimed the tag.
	Both    bool
	Refused bool
}

// Note counts an event, and puts its dialog on the list. Empty names are of a dialog that isn't known.
func (b *Book) Note(e *Event, callID, fromTag, toTag []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := name{int32(e.Cluster), string(callID), string(fromTag), string(toTag)}
	d := b.dialogs[n]
	if e.Verdict == ByNewer {
		if d != nil && d.Newer == e.Node {
			d.ByNewer++
			b.bothLocked(d)
		}
		return
	}
	b.sums.Events++
	s := b.sideLocked(side{int32(e.Cluster), e.Node, e.Tag})
	s.Events++
	if e.Refused {
		b.sums.Refused++
		s.Refused++
	}
	at := time.Unix(0, e.Received)
	if d == nil {
		if len(callID) == 0 || !b.roomLocked(at) {
			b.sums.More++
			return
		}
		d = &Dialog{Cluster: n.cluster, Tag: e.Tag, CallID: n.callID, FromTag: n.fromTag, ToTag: n.to, First: at}
		b.dialogs[n] = d
	}
	d.Older, d.Newer, d.Last = e.Node, e.Newer, at
	d.ByOlder++
	if e.Refused {
		d.Refused++
	}
	if e.Both {
		b.bothLocked(d)
	}
}

func (b *Book) bothLocked(d *Dialog) {
	if !d.Both {
		d.Both = true
		b.sums.Both++
	}
}

func (b *Book) sideLocked(of side) *Side {
	s := b.sides[of]
	if s == nil {
		if len(b.sides) >= maxTags { // nodes choose the names of tags
			of = side{cluster: of.cluster}
			if s = b.sides[of]; s != nil {
				return s
			}
		}
		s = &Side{Cluster: of.cluster, Node: of.node, Tag: of.tag}
		b.sides[of] = s
	}
	return s
}

// roomLocked tells whether there is room for one more dialog. If the list is full, old ones make room.
func (b *Book) roomLocked(now time.Time) bool {
	if len(b.dialogs) < maxDialogs {
		return true
	}
	for n, d := range b.dialogs {
		if now.Sub(d.Last) > keep {
			if d.Both {
				b.sums.Both--
			}
			delete(b.dialogs, n)
		}
	}
	return len(b.dialogs) < maxDialogs
}

// List returns the dialogs, those with the latest event first.
func (b *Book) List() []Dialog {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]Dialog, 0, len(b.dialogs))
	for _, d := range b.dialogs {
		list = append(list, *d)
	}
	slices.SortFunc(list, func(a, b Dialog) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.CallID, b.CallID), cmp.Compare(a.FromTag, b.FromTag))
	})
	return list
}

// Sums returns the counts, and those of each older claimant, by cluster, tag and node.
func (b *Book) Sums() (Sums, []Side) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sums
	s.Dialogs = len(b.dialogs)
	sides := make([]Side, 0, len(b.sides))
	for _, one := range b.sides {
		sides = append(sides, *one)
	}
	slices.SortFunc(sides, func(a, b Side) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.Node, b.Node))
	})
	return s, sides
}
