package bridge

import (
	"encoding/binary"
	"hash/maphash"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/cluster/donor"
)

// Reason is why a change of the cluster From isn't passed on.
type Reason uint8

const (
	Passed Reason = iota
	// OfBridge: a bridge brought it into the cluster (the guard against loops).
	OfBridge
	// OtherTag: the rule names another sharing tag.
	OtherTag
	// NoNode: no node of the cluster To is up.
	NoNode
	Reasons
)

var reasonNames = [Reasons]string{"passed", "of_bridge", "other_tag", "no_node"}

// String returns the name of the reason in status and metrics.
func (r Reason) String() string {
	if r < Reasons {
		return reasonNames[r]
	}
	return "invalid"
}

// Target is a node of the cluster To that is up.
type Target struct {
	Peer     donor.Peer
	Rewrites donor.Rewrites
	// Send takes a packet, and doesn't wait. It must not keep the packet.
	Send func(packet []byte) error
}

// Counts of one Bridge.
type Counts struct {
	Changes uint64          // of calls of the cluster From
	Held    [Reasons]uint64 // of these, not passed on
	Packets uint64          // sent
	NotSent uint64          // refused by a connection: its queue is full
	NotFit  [donor.Reasons]uint64
}

// maxOthers bounds the memory for calls with another tag.
const maxOthers = 4 << 20

// Bridge passes calls in one direction. One goroutine uses it.
type Bridge struct {
	rule    Rule
	targets map[int32]*target
	order   []*target
	bridges map[int32]bool // nodes of the cluster From that are bridges
	// others are calls with another tag, by the hash of the Call-ID: ends and values don't name the tag.
	others map[uint64]struct{}
	seed   maphash.Seed
	view   layout.View
	packet []byte

	Counts
}

type target struct {
	Target
	live *donor.Live
	seen bool
}

// New returns a Bridge that knows no node yet.
func New(r Rule) *Bridge {
	return &Bridge{rule: r, targets: map[int32]*target{}, others: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
}

// Rule returns the rule.
func (b *Bridge) Rule() Rule { return b.rule }

// Nodes returns how many nodes calls go to now.
func (b *Bridge) Nodes() int { return len(b.order) }

// Know tells which nodes of the cluster To are up, and which nodes of the cluster From are bridges.
func (b *Bridge) Know(targets []Target, bridges map[int32]bool) {
	b.bridges = bridges
	b.order = b.order[:0]
	for _, x := range targets {
		id := x.Peer.Trailer.Destination
		t := b.targets[id]
		if t == nil || t.Peer != x.Peer {
			t = &target{live: donor.NewLive(x.Peer, x.Rewrites)}
			b.targets[id] = t
		}
		t.Target = x
		b.order = append(b.order, t)
	}
	for id, t := range b.targets {
		t.seen = false
		for _, o := range b.order {
			t.seen = t.seen || o == t
		}
		if !t.seen {
			delete(b.targets, id)
		}
	}
}

// Change passes one change of the journal on, and tells whether it did. now is in Unix seconds.
func (b *Bridge) Change(c *changes.Change, now uint32) (sent bool) {
	id := layout.ID(c.Layout)
	if c.Capability != changes.Dialogs || int32(c.Sender.Cluster) != b.rule.From || c.Sender.Node == 0 || c.Confirms || id <= layout.UDP {
		return false
	}
	b.Changes++
	switch {
	case b.bridges[int32(c.Sender.Node)]:
		b.Held[OfBridge]++
		return false
	case b.rule.Tag != "" && !b.hasTag(c, id):
		b.Held[OtherTag]++
		return false
	case len(b.order) == 0:
		b.Held[NoNode]++
		return false
	}
	for _, t := range b.order {
		b.send(t, c, now)
	}
	return true
}

// hasTag tells whether a change is about a call with the tag of the rule. What isn't known to have another one has it: a
// node takes no notice of the end of a call that it doesn't know.
func (b *Bridge) hasTag(c *changes.Change, id layout.ID) bool {
	h := b.hash(c.Key())
	switch c.Kind {
	case dialog.Create, dialog.Update, dialog.Chunk:
		if layout.Parse(id, c.Body(), &b.view) == layout.NoFault && string(b.view.Tag()) != b.rule.Tag {
			if len(b.others) < maxOthers {
				b.others[h] = struct{}{}
			}
			return false
		}
		delete(b.others, h)
		return true
	}
	_, other := b.others[h]
	if c.Kind == dialog.Delete {
		delete(b.others, h)
	}
	return !other
}

// hash hashes the Call-ID with which a key of generation 2 begins.
func (b *Bridge) hash(key []byte) uint64 {
	if len(key) >= 2 {
		size := min(int(binary.LittleEndian.Uint16(key)), len(key)-2)
		key = key[2 : 2+size]
	}
	return maphash.Bytes(b.seed, key)
}

// send tells one node of a change.
func (b *Bridge) send(t *target, c *changes.Change, now uint32) {
	packet, reason := t.live.Append(b.packet[:0], c, now)
	b.packet = packet
	switch {
	case reason != donor.Passed:
		b.NotFit[reason]++
	case t.Send(packet) != nil:
		b.NotSent++
	default:
		b.Packets++
	}
}
