package donor

import (
	"fmt"
	"slices"
	"time"
)

// Mode is the operator's choice.
type Mode uint8

const (
	// Auto announces complete dialogs only while the table is known to be complete.
	Auto Mode = iota
	// Never announces nothing and answers nobody.
	Never
	// Seed takes the table for the truth once it was filled, whatever was missed.
	Seed
)

var modeNames = [...]string{Auto: "auto", Never: "never", Seed: "seed"}

// String returns the name of the mode, as ParseMode reads it.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "invalid"
}

// ParseMode reads the name of a mode.
func ParseMode(name string) (Mode, error) {
	if i := slices.Index(modeNames[:], name); i >= 0 {
		return Mode(i), nil
	}
	return Auto, fmt.Errorf("%q is none of auto, never, seed", name)
}

// contactTime is how long after the first sign of a node that was away its restart must show. A restarted node sends
// PING first, and within milliseconds a message whose number tells that it was restarted.
const contactTime = 3 * time.Second

// Promise decides whether the table is complete. It is a pure state machine: what happens goes in, Decide says what
// follows.
//
// A node's part of the table is whole if everything that the node has told is in it. That is so after a complete sync,
// for each node whose link was unbroken since the request. It ends when packets may be missing:
//
//	            complete sync                       another break, or 3 s without a restart
//	part open --------------> whole --break--> broken -------------------------------------> open
//	                            ^                |
//	                            '-- restarted ---'
//
// A restart explains a break: the node died, and its new life has told nothing yet. That holds if the node itself closed
// its connections, because a node that lives opens them again for its next packet. It also holds if no other node was
// there to hear what this one missed. Any other return means that the node went on without us.
//
// The number 0 in the first message of a node proves nothing: a proxy that was alone for days has sent none before.
type Promise struct {
	mode   Mode
	nodes  map[int32]*part
	filled bool   // a sync was complete, or Seed's table was restored
	doubt  string // why nothing counts until the next sync; empty: there is no such reason

	announced bool
}

// part is what is known of one node's part of the table.
type part struct {
	up        bool
	whole     bool
	broken    bool      // whole until a break that a restart may explain
	died      bool      // the node itself closed the connection that broke
	others    bool      // other nodes were up since the break, and may have heard what we missed
	contact   time.Time // first sign of the node since the break
	candidate bool      // unbroken since the sync that runs was requested
	why       string    // it isn't whole
}

// NewPromise returns a Promise for an empty table, or one that was restored from a file. Events were missed since the
// file was written, so only Seed counts it.
func NewPromise(m Mode, restored bool) *Promise {
	return &Promise{mode: m, nodes: map[int32]*part{}, filled: m == Seed && restored, doubt: "no sync was complete yet"}
}

// Mode returns the operator's choice.
func (p *Promise) Mode() Mode { return p.mode }

func (p *Promise) of(id int32) *part {
	n := p.nodes[id]
	if n == nil {
		n = &part{why: "its dialogs were never asked for"}
		p.nodes[id] = n
	}
	return n
}

// Up tells that the link to a node is up. If it was up before and wasn't lost, nothing changes.
func (p *Promise) Up(now time.Time, id int32) {
	n := p.of(id)
	if !n.up && n.whole { // a dead node that a sync covered
		p.Broke(id, "its link was down", false)
	}
	n.up = true
	for other, o := range p.nodes {
		o.others = o.others || other != id
	}
	p.Heard(now, id)
}

// Down tells that the link to a node is lost, or that the node doesn't answer any more.
func (p *Promise) Down(id int32) {
	p.Broke(id, "its link is down", false)
	p.of(id).up = false
}

// Missed tells that packets of a node may be missing: the node takes a link for new. After a break that is no news.
func (p *Promise) Missed(id int32, why string) {
	if n := p.of(id); !n.broken {
		p.Broke(id, why, false)
	}
}

// Broke tells that a connection of a node ended, with which packets may be lost. closed tells that the node itself closed
// it, as one that dies does.
func (p *Promise) Broke(id int32, why string, closed bool) {
	n := p.of(id)
	switch {
	case n.whole:
		n.whole, n.broken, n.died, n.others, n.contact = false, true, closed, false, time.Time{}
		for other, o := range p.nodes {
			n.others = n.others || other != id && o.up
		}
	case n.broken && !n.contact.IsZero():
		n.broken = false // it had come back, and breaks again
	}
	n.candidate, n.why = false, why
}

// fail makes the part of a node open.
func (n *part) fail(why string) { n.whole, n.broken, n.candidate, n.why = false, false, false, why }

// Heard tells that a packet of a node came on a connection of its own.
func (p *Promise) Heard(now time.Time, id int32) {
	n := p.nodes[id]
	if n == nil || !n.broken {
		return
	}
	switch {
	case n.contact.IsZero():
		n.contact = now
	case now.Sub(n.contact) > contactTime:
		n.broken = false // it lives on, and what it told meanwhile is missing
	}
}

// Restarted tells that a node has begun a new life.
func (p *Promise) Restarted(now time.Time, id int32) {
	n := p.of(id)
	p.Heard(now, id)
	n.candidate = false
	n.whole = n.whole || n.broken && (n.died || !n.others)
	n.broken = false
	if !n.whole {
		n.why = "it was restarted after a gap"
	}
}

// Removed tells that a node isn't in the cluster any more.
func (p *Promise) Removed(id int32) {
	if n := p.nodes[id]; n != nil && !n.whole && p.doubt == "" {
		p.doubt = fmt.Sprintf("node %d was removed, and %s", id, n.why)
	}
	delete(p.nodes, id)
}

// Lost tells that this appliance itself dropped or refused events, of whatever node.
func (p *Promise) Lost(why string) {
	p.doubt = why
	for _, n := range p.nodes {
		n.fail(why)
	}
}

// SyncBegan tells that a sync is about to be requested.
func (p *Promise) SyncBegan() {
	for _, n := range p.nodes {
		n.candidate = n.up
	}
}

// SyncDone tells that the sync is complete. dialogs is the number that came, and held tells whether the table holds
// any. linked tells whether a node that isn't up here has a link to one that is.
func (p *Promise) SyncDone(donor int32, dialogs int, held bool, linked func(id int32) bool) {
	n := p.of(donor)
	switch {
	case !n.candidate:
		return // its link broke meanwhile
	case dialogs == 0 && held:
		p.doubt = fmt.Sprintf("node %d says that its dialogs are complete and sent none, while the table holds some", donor)
		return
	}
	p.filled, p.doubt = true, ""
	for id, n := range p.nodes {
		if n.candidate || !n.up && !linked(id) {
			n.whole, n.broken, n.contact = true, false, time.Time{}
		}
		n.candidate = false
	}
}

// NeedsSync says why a sync would help; empty if it wouldn't.
func (p *Promise) NeedsSync() string {
	if p.mode == Never || p.mode == Seed && p.filled {
		return ""
	}
	if p.doubt != "" {
		return p.doubt
	}
	for _, id := range p.sorted() {
		if n := p.nodes[id]; n.up && !n.whole && !n.broken {
			return fmt.Sprintf("node %d: %s", id, n.why)
		}
	}
	return ""
}

// Decision is what Decide decided.
type Decision struct {
	Announce bool   `json:"announced"` // this node announces that its dialogs are complete
	Why      string `json:"reason"`
}

// Decide tells whether this node may announce that its dialogs are complete. held tells whether the table holds any of
// this cluster: an empty table isn't announced, because if that is wrong it empties others. A table that was announced
// may become empty.
func (p *Promise) Decide(held bool) Decision {
	why := p.incomplete()
	if why == "" && !held && !p.announced {
		why = "the table is empty"
	}
	p.announced = why == ""
	switch {
	case !p.announced:
		return Decision{false, why}
	case p.mode == Seed:
		return Decision{true, "the operator declares this table the truth"}
	}
	return Decision{true, "a sync was complete, and nothing was missed since"}
}

func (p *Promise) incomplete() string {
	switch {
	case p.mode == Never:
		return "the operator forbids it"
	case !p.filled:
		return p.doubt
	case p.mode == Seed:
		return ""
	case p.doubt != "":
		return p.doubt
	}
	for _, id := range p.sorted() {
		if n := p.nodes[id]; !n.whole {
			return fmt.Sprintf("node %d: %s", id, n.why)
		}
	}
	return ""
}

func (p *Promise) sorted() []int32 {
	list := make([]int32, 0, len(p.nodes))
	for id := range p.nodes {
		list = append(list, id)
	}
	slices.Sort(list)
	return list
}
