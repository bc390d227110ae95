package links

import (
	"slices"
	"sync"
)

// Link is the state of an interface's link.
type Link uint8

const (
	Missing   Link = iota // there is no such interface
	Down                  // set down by an administrator
	NoCarrier             // up, but the cable or the peer is missing
	Up
)

// Reading is what the kernel says about an interface at one moment. Counters count from the interface's creation.
type Reading struct {
	Index   int // 0: there is no such interface
	Link    Link
	Dropped uint64 // rx_dropped
	Missed  uint64 // rx_missed_errors + rx_fifo_errors + rx_over_errors
	// TakenAsDropped is the part of Dropped that XDP took. Only some drivers count this way.
	TakenAsDropped uint64
	// Queues are counters of the driver that mean a loss for lack of room, by name.
	Queues map[string]uint64
}

// State is the state of an interface. Counters count from the start of the Watcher.
type State struct {
	Name    string
	Link    Link
	WasUp   bool   // the link has been up since the start of the Watcher
	Lost    uint64 // what counts as a loss
	Dropped uint64 // without what XDP took
	Missed  uint64
	Queues  map[string]uint64 // those that have risen
}

// strays is how many frames an interface may drop within a second that nothing was lost with: frames of protocols that
// nothing handles. Spanning tree sends one every two seconds, LLDP one every 30 s, each from every neighbour.
const strays = 10

// Watcher follows interfaces. It is safe for concurrent use.
type Watcher struct {
	mu      sync.Mutex
	backlog uint64 // at the last sample
	sampled bool
	list    []*watched
}

// watched is an interface and its last reading.
type watched struct {
	State
	last Reading
	seen bool // last is set
}

// Sample takes the readings of these interfaces. backlog is the number of frames that the kernel's backlogs of all CPUs
// have dropped. Call it about once a second. The first reading of an interface that is there from the beginning is the
// base; an interface that appears later begins at zero.
func (w *Watcher) Sample(names []string, readings []Reading, backlog uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	overflowed := uint64(0)
	if w.sampled {
		overflowed = backlog - min(w.backlog, backlog)
	}
	w.backlog = backlog
	for i, name := range names {
		k := slices.IndexFunc(w.list, func(l *watched) bool { return l.Name == name })
		if k < 0 {
			l := &watched{State: State{Name: name, Queues: map[string]uint64{}}}
			if !w.sampled {
				l.last, l.seen = readings[i], true
			}
			w.list, k = append(w.list, l), len(w.list)
		}
		w.list[k].take(&readings[i], overflowed)
	}
	w.list = slices.DeleteFunc(w.list, func(l *watched) bool { return !slices.Contains(names, l.Name) })
	w.sampled = true
}

// take adds the growth since the last reading.
func (l *watched) take(r *Reading, overflowed uint64) {
	l.Link = r.Link
	l.WasUp = l.WasUp || r.Link == Up
	if r.Index == 0 {
		return // its counters are gone; the next interface of this name begins at zero
	}
	base := l.last
	if l.seen && base.Index != r.Index {
		base = Reading{}
	} else if !l.seen {
		base = *r // an interface that was not watched before
	}
	dropped := grown(base.Dropped, r.Dropped)
	dropped -= min(dropped, grown(base.TakenAsDropped, r.TakenAsDropped))
	missed := grown(base.Missed, r.Missed)
	l.Dropped += dropped
	l.Missed += missed
	queues := uint64(0)
	for name, n := range r.Queues {
		if more := grown(base.Queues[name], n); more > 0 {
			l.Queues[name] += more
			queues += more
		}
	}
	// Most drivers count what their queues lost as missed, too.
	l.Lost += max(missed, queues)
	if dropped > strays {
		l.Lost += dropped
	} else {
		l.Lost += min(dropped, overflowed)
	}
	l.last, l.seen = *r, true
}

// grown returns the growth of a counter, 0 if it has become smaller.
func grown(before, now uint64) uint64 { return now - min(before, now) }

// States returns the state of every watched interface, in the order of the names.
func (w *Watcher) States() []State {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]State, len(w.list))
	for i, l := range w.list {
		list[i] = l.State
		list[i].Queues = map[string]uint64{}
		for name, n := range l.Queues {
			list[i].Queues[name] = n
		}
	}
	return list
}
