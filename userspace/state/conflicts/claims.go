package conflicts

import (
	"slices"
	"sync/atomic"
	"time"
)

const (
	// DefaultGrace is for events that were on their way when a tag was claimed. Packets of several connections overtake
	// each other by some ten milliseconds.
	DefaultGrace = time.Second
	// acting is how long a proof counts that a node acts for a tag.
	acting = time.Minute
	// maxTags and maxOlder bound the memory: nodes choose the names.
	maxTags, maxOlder = 256, 16
)

// Verdict says what an event is in a conflict about a tag.
type Verdict uint8

const (
	// Clear: there is no conflict.
	Clear Verdict = iota
	// ByOlder: an older claimant acts for the tag.
	ByOlder
	// ByNewer: the event is of the newer claimant of a tag that was moved.
	ByNewer
)

// Claims are the tags that more than one node has claimed. A Claims doesn't change: the Book makes another one.
type Claims struct {
	tags  []*tag
	grace int64 // ns
}

type tag struct {
	cluster int32
	name    string
	newer   int32
	since   int64 // Unix ns of the last claim that moved the tag
	older   []*claimant
}

// claimant is an older one.
type claimant struct {
	node  int32
	acted atomic.Int64 // Unix ns of the last proof that it acts for the tag; 0: none
}

// Involves tells whether a node has claimed a tag that was moved. It is nil-safe, and the first look at every event.
func (c *Claims) Involves(cluster uint16, node uint32) bool {
	if c == nil || node == 0 {
		return false
	}
	for _, t := range c.tags {
		if t.cluster == int32(cluster) && (t.newer == int32(node) || t.claimant(int32(node)) != nil) {
			return true
		}
	}
	return false
}

func (t *tag) claimant(node int32) *claimant {
	for _, o := range t.older {
		if o.node == node {
			return o
		}
	}
	return nil
}

// Judge returns what an event of a node about a dialog with that tag is. proof tells that a node in backup doesn't send
// such an event. received is in Unix nanoseconds. newer is the newer claimant of the tag, and since when it is that; they
// are 0 if the tag was never moved.
func (c *Claims) Judge(cluster uint16, node uint32, name []byte, proof bool, received int64) (v Verdict, newer int32, since int64) {
	for _, t := range c.tags {
		if t.cluster != int32(cluster) || t.name != string(name) {
			continue
		}
		if t.newer == int32(node) {
			return ByNewer, t.newer, t.since
		}
		o := t.claimant(int32(node))
		if o == nil || received-t.since < c.grace {
			return Clear, t.newer, t.since
		}
		if proof {
			o.acted.Store(received)
			return ByOlder, t.newer, t.since
		}
		if acted := o.acted.Load(); acted > t.since && received-acted < int64(acting) {
			return ByOlder, t.newer, t.since
		}
		return Clear, t.newer, t.since
	}
	return Clear, 0, 0
}

// with returns the claims after node has claimed a tag.
func (c *Claims) with(now int64, cluster, node int32, name string, previous int32) *Claims {
	next := &Claims{grace: c.grace, tags: slices.Clone(c.tags)}
	moved := &tag{cluster: cluster, name: name, newer: node, since: now}
	at := slices.IndexFunc(next.tags, func(t *tag) bool { return t.cluster == cluster && t.name == name })
	if at >= 0 {
		for _, o := range next.tags[at].older {
			if o.node != node && o.node != previous {
				moved.older = append(moved.older, o)
			}
		}
		next.tags[at] = moved
	} else if next.tags = append(next.tags, moved); len(next.tags) > maxTags {
		next.tags = slices.Delete(next.tags, 0, 1)
	}
	if moved.older = append(moved.older, &claimant{node: previous}); len(moved.older) > maxOlder {
		moved.older = slices.Delete(moved.older, 0, 1)
	}
	return next
}
