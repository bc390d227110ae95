package donor

import (
	"fmt"
	"slices"
	"time"
)

// contactTime is how long after the first sign of a node that was away its restart must show. A restarted node sends
// PING first, and within milliseconds a message whose number tells that it was restarted.
const contactTime = 3 * time.Second

// linkTime is how long a restarted node may take to set up its links. Source: ping_timeout and the number of retries,
// section 2.5 of the specification of generation 2, and a busy machine.
const linkTime = 15 * time.Second

// Promise decides whether the table is complete. It is a pure state machine: what happens goes in, Decide says what
// follows.
//
// A node's part of the table is whole if everything that the node holds is here. That is so after a complete sync of that
// node, if its link was unbroken since the request. A sync of another node proves nothing: the two may have been apart.
// It ends when packets may be missing:
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
//
// A restarted node accepts calls before its links are up, and tells nobody of them. Nodes of 3.3 and later end them
// when their own sync is complete, if the donor doesn't have them (spec bin-tcp, 10.4 item 11). So until then they
// are not missing here, and neither is what is lost while the node sets up its links. If the node becomes synced without
// an answer of ours, or has a release that keeps such calls, its part is open.
//
// A node that isn't synced answers a sync, too, with all that it holds. So where no node is synced, one that is up and isn't
// synced is asked: if everything that somebody still holds is here, nobody loses a call by our answer. That ends the wait of
// a single proxy and an appliance for each other. It isn't asked after a restart that followed a gap, nor by an appliance
// that restored its table: then the table has calls that ended unheard, and only the operator can say that they are better
// than none.
type Promise struct {
	mode     Mode
	restored bool
	nodes    map[int32]*part
	filled   bool   // a sync was complete, or Seed's table was restored
	doubt    string // why nothing counts until the next sync; empty: there is no such reason

	announced bool
}

// part is what is known of one node's part of the table.
type part struct {
	up        bool
	whole     bool
	broken    bool      // whole until a break that a restart may explain
	closed    bool      // the node itself closed a connection of the break
	lossy     bool      // another one ended in a way that may have lost packets
	others    bool      // other nodes were up since the break, and may have heard what we missed
	contact   time.Time // first sign of the node since the break
	candidate bool      // unbroken since the sync that runs was requested
	claimed   bool      // it announced complete dialogs in this life
	gap       bool      // this life began after a gap
	fresh     time.Time // when it was restarted, while it isn't synced and its part is whole; else zero
	served    bool      // it asked us since then, gets an answer, and ends what isn't in there
	why       string    // it isn't whole
}

// NewPromise returns a Promise for an empty table, or one that was restored from a file. Events were missed since the
// file was written, so only Seed counts it.
func NewPromise(m Mode, restored bool) *Promise {
	return &Promise{mode: m, restored: restored, nodes: map[int32]*part{}, filled: m == Seed && restored, doubt: "no sync was complete yet"}
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
	if setsUp := !n.fresh.IsZero() && now.Sub(n.fresh) < linkTime; !n.up && n.whole && !setsUp { // a dead node that a sync covered
		p.Broke(id, "its link was down", Lossy)
	}
	n.up = true
	for other, o := range p.nodes {
		o.others = o.others || other != id
	}
	p.Heard(now, id)
}

// Seen tells that a node is in the cluster, as another one says. It may never have been up here.
func (p *Promise) Seen(id int32) { p.of(id) }

// Down tells that the link to a node is lost, or that the node doesn't answer any more.
func (p *Promise) Down(id int32) {
	n := p.of(id)
	if !n.broken || !n.contact.IsZero() {
		p.Broke(id, "its link is down", Lossy)
	}
	n.up = false
}

// Missed tells that packets of a node may be missing: the node takes a link for new. After a break that is no news, and
// after a restart its links are new.
func (p *Promise) Missed(now time.Time, id int32, why string) {
	n := p.of(id)
	if n.broken || n.whole && !n.fresh.IsZero() && now.Sub(n.fresh) < linkTime {
		return
	}
	p.Broke(id, why, Lossy)
}

// Break is how a connection ended.
type Break uint8

const (
	Lossy  Break = iota // packets may be lost
	Closed              // the node itself closed it, as one that dies does: what it had sent has come
	Empty               // it was our own connection, on which no dialogs came
)

// Broke tells that a connection of a node ended.
func (p *Promise) Broke(id int32, why string, b Break) {
	n := p.of(id)
	if b == Empty {
		return
	}
	switch {
	case n.whole:
		n.whole, n.broken, n.closed, n.lossy, n.contact = false, true, false, false, time.Time{}
		n.others = p.othersUp(id)
		n.lossy = n.others && !n.fresh.IsZero() // others may have heard of calls from before its link here was up
	case n.broken && !n.contact.IsZero():
		n.broken = false // it had come back, and breaks again
	}
	n.closed, n.lossy = n.closed || b == Closed, n.lossy || b == Lossy
	n.candidate, n.why = false, why
}

func (p *Promise) othersUp(id int32) bool {
	for other, o := range p.nodes {
		if other != id && o.up {
			return true
		}
	}
	return false
}

// wholeBut tells whether the part of another node that is up is whole.
func (p *Promise) wholeBut(id int32) bool {
	for other, o := range p.nodes {
		if other != id && o.up && o.whole {
			return true
		}
	}
	return false
}

// fail makes the part of a node open.
func (n *part) fail(why string) {
	n.whole, n.broken, n.candidate, n.fresh, n.why = false, false, false, time.Time{}, why
}

// Serving tells that a node gets an answer. drops tells that the node ends those of its dialogs that aren't in there.
func (p *Promise) Serving(id int32, drops bool) { p.of(id).served = drops }

// Unserved tells that the answer to a node broke off.
func (p *Promise) Unserved(id int32) { p.of(id).served = false }

// Synced tells that a node announces that its dialogs are complete. If another node than this one gave it what it lacked,
// it holds more than it told.
func (p *Promise) Synced(id int32) {
	n := p.of(id)
	n.claimed, n.candidate = true, false
	if n.whole && !n.served {
		n.fail("it was synced by itself or by another node")
	}
	n.fresh = time.Time{}
}

// Unsynced tells that a node announces that its dialogs are not complete. It asks for a sync, or was restarted.
func (p *Promise) Unsynced(id int32) {
	p.of(id).served = false
}

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
	switch {
	case n.broken:
		n.whole = n.closed && !n.lossy || !n.others
	case n.whole && n.up && p.othersUp(id):
		n.whole = false // it died before a break of its connections was seen
	}
	n.broken, n.served, n.claimed, n.gap, n.fresh = false, false, false, !n.whole, time.Time{}
	if n.gap {
		n.why = "it was restarted after a gap, so calls may be missing that no node has (--donor seed gives out what is here)"
		p.spread(id, 0)
		if !p.othersUp(id) {
			return
		}
		n.whole, n.gap = true, false // what was missed is at the others, if anywhere
	}
	n.fresh = now
}

// spread makes the parts of all nodes but two open: they may hold what one told that is gone, and that we missed.
func (p *Promise) spread(gone, but int32) {
	for id, n := range p.nodes {
		if id != gone && id != but {
			n.fail(fmt.Sprintf("it may have calls of node %d that were missed", gone))
		}
	}
}

// Removed tells that a node isn't in the cluster any more.
func (p *Promise) Removed(id int32) {
	n := p.nodes[id]
	delete(p.nodes, id)
	if n == nil || n.whole {
		return
	}
	if p.doubt == "" {
		p.doubt = fmt.Sprintf("node %d was removed, and %s", id, n.why)
	}
	p.spread(id, 0)
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
// any. linked tells whether a node that isn't up here has a link to one that is. The result is false if the sync proves
// nothing, because something came between.
func (p *Promise) SyncDone(donor int32, dialogs int, held bool, linked func(id int32) bool) bool {
	d := p.of(donor)
	switch {
	case !d.candidate:
		return false
	case dialogs == 0 && held && !p.wholeBut(donor): // another one has them, and this one none
		p.doubt = fmt.Sprintf("node %d says that its dialogs are complete and sent none, while the table holds some", donor)
		return true
	}
	p.filled, p.doubt = true, ""
	dead := func(id int32) bool { return id != donor && !p.nodes[id].up && !linked(id) }
	for _, id := range p.sorted() {
		n := p.nodes[id]
		n.candidate = false
		if clean := n.broken && n.closed && !n.lossy; dead(id) && !n.whole && !clean {
			p.spread(id, donor)
		}
	}
	for id, n := range p.nodes {
		if id == donor || dead(id) {
			n.whole, n.broken, n.gap, n.contact, n.fresh = true, false, false, time.Time{}, time.Time{}
		}
	}
	return true
}

// Open tells whether a sync of the node would help.
func (p *Promise) Open(id int32) bool {
	n := p.nodes[id]
	return n != nil && n.up && !n.whole && !n.broken
}

// Unsure returns the nodes that may be asked though they aren't synced, if no node is.
func (p *Promise) Unsure() (nodes []int32) {
	for _, id := range p.sorted() {
		if n := p.nodes[id]; p.mode == Auto && p.Open(id) && !n.gap && (n.claimed || !p.restored) {
			nodes = append(nodes, id)
		}
	}
	return nodes
}

// NeedsSync says why a sync would help, and of which node; empty if it wouldn't.
func (p *Promise) NeedsSync() (why string, node int32) {
	if p.mode == Never || p.mode == Seed && p.filled {
		return "", 0
	}
	for _, id := range p.sorted() {
		if p.Open(id) {
			return fmt.Sprintf("node %d: %s", id, p.nodes[id].why), id
		}
	}
	return p.doubt, 0
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
