package member

import (
	"time"

	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/stream"
)

// Times of the feed.
const (
	feedEvery = 5 * time.Millisecond
	lookEvery = 250 * time.Millisecond // at the nodes that are up
	// feedAhead bounds the bytes that wait for a node that doesn't read.
	feedAhead = 8 << 20
)

// feed passes live calls of UDP sources into the cluster (DonorConfig.TakesUDP). Its goroutine uses it; the Member's mutex
// guards status.
type feed struct {
	nodes  map[int32]*fed
	packet []byte
	take   func(*changes.Change) error
	now    uint32
	store  Store
	FeedStatus
	held [donor.Reasons]uint64

	status FeedStatus
}

// fed is a node that gets calls.
type fed struct {
	live *donor.Live
	conn *stream.Conn // nil: the node isn't up
}

// FeedStatus is the account of live calls of UDP sources that go to the nodes of the cluster.
type FeedStatus struct {
	Sent    uint64 `json:"sent"`     // packets to nodes
	NotSent uint64 `json:"not_sent"` // packets that found no connection or a full queue, or whose node's layout wasn't known
	Lost    uint64 `json:"lost"`     // events that were overwritten in the queue before they were sent
	// Held counts events that were held back from a node, by reason.
	Held map[string]uint64 `json:"held_back"`
	// Converted is how many dialogs were converted, and Dropped what of them has no place at the nodes, by name.
	Converted uint64            `json:"converted"`
	Dropped   map[string]uint64 `json:"dropped"`
}

// feedNodes passes live calls of UDP sources on until the Member stops.
func (m *Member) feedNodes() {
	store := m.cfg.Donor.Store
	tail := store.OpenTail()
	defer tail.Close()
	f := &m.feed
	f.nodes, f.store, f.take = map[int32]*fed{}, store, f.change
	tick := time.NewTicker(feedEvery)
	defer tick.Stop()
	var looked time.Time
	for {
		select {
		case <-m.done:
			return
		case <-tick.C:
		}
		now := time.Now()
		f.now = uint32(now.Unix())
		if now.Sub(looked) >= lookEvery {
			looked = now
			m.lookAtNodes()
		}
		lost, _ := tail.Read(tail.Head(), f.take)
		if f.Lost += lost; lost > 0 {
			m.log.Warn("calls of UDP sources were not passed on to the nodes in time; binrepd sync --cluster makes it good", "events", lost)
		}
	}
}

// lookAtNodes notes which nodes are up, and what they take. It publishes the account.
func (m *Member) lookAtNodes() {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := &m.feed
	known := map[int32]bool{}
	for _, n := range m.machine.Status().Nodes {
		known[n.Node] = true
		x := f.nodes[n.Node]
		if x == nil {
			x = &fed{}
			f.nodes[n.Node] = x
		}
		x.conn = nil
		if ways := m.waysLocked(n.Node, 0); n.LinkState == membership.Up && len(ways) > 0 {
			x.conn = ways[0]
		}
		if to := m.layoutLocked(n.Node); to != layout.None && (x.live == nil || x.live.Peer().Layout != to) {
			f.retire(x.live)
			x.live = donor.NewLive(m.peerLocked(n.Node, to), m.rewritesFor(n.Node))
		}
	}
	for id, x := range f.nodes {
		if !known[id] {
			f.retire(x.live)
			delete(f.nodes, id)
		}
	}
	s := FeedStatus{Sent: f.Sent, NotSent: f.NotSent, Lost: f.Lost, Held: map[string]uint64{}, Dropped: map[string]uint64{}, Converted: f.Converted}
	for reason, n := range f.held {
		if n > 0 {
			s.Held[donor.Reason(reason).String()] = n
		}
	}
	for name, n := range f.Dropped {
		s.Dropped[name] += n
	}
	for _, x := range f.nodes {
		if x.live != nil {
			s.add(x.live.Lost())
		}
	}
	f.status = s
}

// retire keeps the counts of a node that takes another layout now, or is gone.
func (f *feed) retire(l *donor.Live) {
	if l == nil {
		return
	}
	if f.Dropped == nil {
		f.Dropped = map[string]uint64{}
	}
	f.add(l.Lost())
}

func (s *FeedStatus) add(l layout.Lost) {
	s.Converted += l.Converted
	l.Each(func(name string, times uint64) { s.Dropped[name] += times })
}

// change sends one change to every node that is up. What came from a node, or from another appliance, is not passed on: the
// node has told the others itself, and each appliance passes on what it took in.
func (f *feed) change(c *changes.Change) error {
	if c.Capability != changes.Dialogs || c.Sender.Cluster != 0 || layout.ID(c.Layout) != layout.UDP || c.Confirms || !f.store.Own(c) {
		return nil
	}
	for _, x := range f.nodes {
		if x.conn == nil {
			continue // it gets the calls when it asks for all dialogs
		}
		if x.live == nil {
			f.NotSent++
			continue
		}
		var reason donor.Reason
		if f.packet, reason = x.live.Append(f.packet[:0], c, f.now); reason != donor.Passed {
			f.held[reason]++
			continue
		}
		if _, waiting := x.conn.Waiting(); waiting > feedAhead || x.conn.Send(f.packet) != nil {
			f.NotSent++
			continue
		}
		f.Sent++
	}
	return nil
}
