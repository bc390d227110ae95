package member

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"binrepd/userspace/wire/bin2"
)

const (
	// profileLife is how long a count holds without being repeated. Nodes repeat all of theirs five times a second, and
	// OpenSIPS forgets those of a node after the same time (spec bin-tcp, 4.9).
	profileLife = 10 * time.Second

	// Bounds of what is kept of one node. A profile may have a value for each caller.
	maxProfileCounts = 1 << 14
	maxProfileBytes  = 1 << 20 // of names and values
)

// ProfileStatus is how many dialogs a node says it has in a profile.
type ProfileStatus struct {
	Name, Value string
	Dialogs     int
}

// NodeProfiles is what a node says of its profiles.
type NodeProfiles struct {
	Node int32
	// Counts that were repeated in the last 10 s, by name and value.
	Counts []ProfileStatus
	Last   time.Time // when the last packet came
	// Refused is the number of counts that found no room, and Broken that of packets that can't be read to their end.
	Refused, Broken uint64
}

// profiles are the counts of all nodes. The engine's goroutine takes packets, and any may read.
type profiles struct {
	mu    sync.Mutex
	nodes map[int32]*nodeProfiles // as many as the machine knows, at most
}

type nodeProfiles struct {
	counts          map[profile]*profileCount
	bytes           int
	last            time.Time
	swept           time.Time
	refused, broken uint64
}

type profile struct{ name, value string }

type profileCount struct {
	dialogs int32
	at      time.Time
}

// take notes the counts in a packet of a known node. It allocates only for a count that is new.
func (ps *profiles) take(now time.Time, node int32, p bin2.Packet) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	n := ps.nodes[node]
	if n == nil {
		if ps.nodes == nil {
			ps.nodes = map[int32]*nodeProfiles{}
		}
		n = &nodeProfiles{counts: map[profile]*profileCount{}, swept: now}
		ps.nodes[node] = n
	}
	n.last = now
	if now.Sub(n.swept) >= profileLife {
		n.sweep(now)
	}
	w := bin2.ProfilesOf(p)
	var c bin2.ProfileCount
	for w.Next(&c) {
		n.set(now, &c)
	}
	if w.Err() != nil {
		n.broken++
	}
}

// set notes one count. A profile without dialogs takes no room.
func (n *nodeProfiles) set(now time.Time, c *bin2.ProfileCount) {
	known := n.counts[profile{string(c.Name), string(c.Value)}] // makes no strings
	size := len(c.Name) + len(c.Value)
	switch {
	case known != nil && c.Dialogs > 0:
		*known = profileCount{c.Dialogs, now}
	case known != nil:
		delete(n.counts, profile{string(c.Name), string(c.Value)})
		n.bytes -= size
	case c.Dialogs == 0:
	case len(n.counts) >= maxProfileCounts || n.bytes+size > maxProfileBytes:
		n.refused++
	default:
		n.counts[profile{string(c.Name), string(c.Value)}] = &profileCount{c.Dialogs, now}
		n.bytes += size
	}
}

// sweep forgets the counts that weren't repeated.
func (n *nodeProfiles) sweep(now time.Time) {
	n.swept = now
	for p, c := range n.counts {
		if now.Sub(c.at) >= profileLife {
			delete(n.counts, p)
			n.bytes -= len(p.name) + len(p.value)
		}
	}
}

// status returns a copy, by node.
func (ps *profiles) status(now time.Time) (list []NodeProfiles) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(ps.nodes)) {
		n := ps.nodes[id]
		n.sweep(now)
		s := NodeProfiles{Node: id, Last: n.last, Refused: n.refused, Broken: n.broken, Counts: make([]ProfileStatus, 0, len(n.counts))}
		for p, c := range n.counts {
			s.Counts = append(s.Counts, ProfileStatus{p.name, p.value, int(c.dialogs)})
		}
		slices.SortFunc(s.Counts, func(a, b ProfileStatus) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
		})
		list = append(list, s)
	}
	return list
}

// forget drops the counts of a node that was removed from the cluster.
func (ps *profiles) forget(node int32) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.nodes, node)
}

// Profiles returns what each node says of its dialog profiles.
func (m *Member) Profiles() []NodeProfiles { return m.profiles.status(time.Now()) }
