package member

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/stream"
	"binrepd/userspace/wire/bin2"
)

// DonorConfig says how a Member answers nodes that ask for all dialogs. The zero value answers nobody.
type DonorConfig struct {
	Mode donor.Mode
	// Rate is in packets a second; 0 is no limit.
	Rate int
	// Rewrites are the sockets to replace, by node; those of node 0 are for every node that has none of its own.
	Rewrites map[int32]donor.Rewrites
	// Store is the table's side; nil: there is none, and nobody is answered.
	Store Store
	// Restored tells that the table came from a file.
	Restored bool
	// TakesUDP passes calls of UDP sources into the cluster, as if this node had made them.
	TakesUDP bool
}

// Store is what answers are read from.
type Store interface {
	Table() *dialog.Table
	// OpenTail opens a reading position in the journal of changes.
	OpenTail() donor.Tail
	// Serves tells whether dialogs of an origin in a layout belong to the cluster.
	Serves(cluster int32, origin uint16, id layout.ID) bool
	// Layout returns in which layout a node last sent dialogs; layout.None: it sent none.
	Layout(cluster, node int32) layout.ID
	// Own tells whether this appliance itself took the event in that a change tells of.
	Own(c *changes.Change) bool
	// Lost counts events of the cluster that were dropped or refused here.
	Lost(cluster int32) uint64
}

// donation is the donor's side of a Member. The Member's mutex guards it.
type donation struct {
	promise  *donor.Promise
	decision donor.Decision
	since    time.Time
	desk     donor.Desk
	asked    string // the last reason for a sync: one that didn't help isn't repeated for it
	lost     uint64
	running  map[int32]*answer
	last     donor.Summary
	done     uint64
	failed   uint64
}

// answer is one that runs.
type answer struct {
	node    int32
	conn    *stream.Conn
	run     *donor.Run
	cancel  chan struct{}
	why     string // it was canceled
	summary donor.Summary
}

// Times of answers.
const (
	// sendAhead bounds the bytes that wait in the queue of the connection, so that a PONG behind them isn't late.
	sendAhead = 256 << 10
	// tellEvery is how often a running answer publishes its numbers.
	tellEvery = 100 * time.Millisecond
	// lookAgain is when a request is looked at again for which there was no dialog.
	lookAgain = time.Second
)

func (d *donation) init(now time.Time, cfg *DonorConfig) {
	mode := cfg.Mode
	if cfg.Store == nil {
		mode = donor.Never
	}
	d.promise, d.since, d.running = donor.NewPromise(mode, cfg.Restored), now, map[int32]*answer{}
	d.decision = d.promise.Decide(false)
}

// heldLocked tells whether the table holds live dialogs.
func (m *Member) heldLocked() bool {
	if m.cfg.Donor.Store == nil {
		return false
	}
	counts := m.cfg.Donor.Store.Table().Counts()
	return counts.Live() > 0
}

// decideLocked announces what the promise says, and asks for a sync if that helps.
func (m *Member) decideLocked(now time.Time, out *membership.Output) {
	d := &m.donation
	if m.cfg.Donor.Store == nil || m.machine == nil {
		return
	}
	if lost := m.cfg.Donor.Store.Lost(m.cfg.Cluster); lost > d.lost {
		d.promise.Lost(fmt.Sprintf("%d events could not be taken here", lost-d.lost))
		d.lost = lost
	}
	m.strangersLocked()
	before := d.decision
	d.decision = d.promise.Decide(m.heldLocked())
	if before.Announce != d.decision.Announce {
		d.since = now
		m.machine.SetCapability(now, Capability, d.decision.Announce, out)
		m.rouse()
	}
	why, node := d.promise.NeedsSync()
	if why == d.asked || m.fill.reason != "" || m.fill.run.donor != 0 || m.fill.failures > 0 {
		return
	}
	if d.asked = why; why != "" {
		m.fill.want(now, why, 0)
		m.fill.first = node
	}
}

// unsureLocked returns the nodes to ask if none is synced.
func (m *Member) unsureLocked(now time.Time) []int32 {
	if m.fill.nobody.IsZero() || now.Sub(m.fill.nobody) < m.cfg.Times.Unsure {
		return nil
	}
	return m.donation.promise.Unsure()
}

// strangersLocked tells the promise of nodes that others have a link to. What they tell may be missing here.
func (m *Member) strangersLocked() {
	for _, n := range m.machine.Status().Nodes {
		if n.LinkState != membership.Up {
			continue
		}
		for _, id := range n.Neighbours {
			if id != m.cfg.Node {
				m.donation.promise.Seen(id)
			}
		}
	}
}

// decide is decideLocked for callers without the lock.
func (m *Member) decide(now time.Time) {
	var out membership.Output
	m.mu.Lock()
	before := m.donation.decision
	m.decideLocked(now, &out)
	after := m.donation.decision
	m.mu.Unlock()
	m.perform(now, &out)
	switch {
	case after.Announce && !before.Announce:
		m.log.Info("announced that the dialogs here are complete", "reason", after.Why)
	case !after.Announce && before.Announce:
		m.log.Warn("the dialogs here are no longer announced as complete", "reason", after.Why)
	}
}

// linkedLocked returns a function that tells whether any node that is up has a link to another.
func (m *Member) linkedLocked() func(id int32) bool {
	nodes := m.machine.Status().Nodes
	return func(id int32) bool {
		return slices.ContainsFunc(nodes, func(n membership.NodeStatus) bool {
			return n.LinkState == membership.Up && slices.Contains(n.Neighbours, id)
		})
	}
}

// requestLocked takes a request for dialogs. An answer without data would end the calls of the node, so where there is
// none the request waits.
func (m *Member) requestLocked(now time.Time, e *membership.Event) {
	if m.donation.promise.Mode() == donor.Never {
		m.counts.refused++
		return
	}
	m.donation.desk.Request(now, e.Node, e.Version)
	m.rouse()
}

// forgetLocked ends the answer to a node that was restarted or is gone.
func (m *Member) forgetLocked(id int32, why string) {
	d := &m.donation
	if a := d.running[id]; a != nil && a.why == "" {
		a.why = why
		close(a.cancel)
	}
	d.desk.Forget(id)
}

// serveDue begins the answers that are due. Only the waiting goroutine calls it.
func (m *Member) serveDue(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := &m.donation
	for d.decision.Announce && !m.stopped {
		node, version, ok := d.desk.Next(now)
		if !ok {
			return
		}
		a := m.answerTo(now, node, version)
		if a == nil {
			d.desk.Forget(node)
			m.counts.refused++
			continue
		}
		d.running[node] = a
		d.promise.Serving(node, version >= layout.SyncCounted) // 3.2 drops as well, but its number tells nothing
		m.log.Info("sending all dialogs to a node that asked", "node", node, "layout", a.run.Summary().Layout)
		m.timing.Go(func() { m.serve(a) })
	}
}

// answerTo prepares the answer to a node, nil if there is no way to it.
func (m *Member) answerTo(now time.Time, node int32, version int16) *answer {
	ways := m.waysLocked(node, 0)
	s := m.cfg.Donor.Store
	var others []layout.ID
	for _, n := range m.machine.Status().Nodes {
		others = append(others, s.Layout(m.cfg.Cluster, n.Node))
	}
	dialect := m.machine.Dialect(node)
	to := donor.LayoutOf(version, dialect, s.Layout(m.cfg.Cluster, node), others)
	if len(ways) == 0 || to == layout.None {
		return nil
	}
	run := donor.NewRun(now, donor.Config{
		Peer: donor.Peer{Trailer: bin2.Trailer{Cluster: m.cfg.Cluster, Source: m.cfg.Node, Destination: node}, Dialect: dialect,
			SyncVersion: version, Layout: to},
		Table: s.Table(), Tail: s.OpenTail(), Rate: m.cfg.Donor.Rate, Rewrites: m.rewritesFor(node),
		Serves: func(origin uint16, id layout.ID) bool { return s.Serves(m.cfg.Cluster, origin, id) },
	})
	return &answer{node: node, conn: ways[0], run: run, cancel: make(chan struct{}), summary: run.Summary()}
}

// serve sends an answer until it is done, the connection ends, or the Member does.
func (m *Member) serve(a *answer) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var told time.Time
	why := ""
	for why == "" && !a.run.Done() {
		select {
		case <-m.done:
			why = "this node stops"
			continue
		case <-a.cancel:
			why = "canceled"
			continue
		case <-timer.C:
		}
		now := time.Now()
		_, waiting := a.conn.Waiting()
		next, err := a.run.Step(now, sendAhead-int(waiting), a.conn.Send)
		if err != nil {
			why = err.Error()
		}
		if now.Sub(told) >= tellEvery {
			told = now
			m.mu.Lock()
			a.summary = a.run.Summary()
			m.mu.Unlock()
		}
		timer.Reset(time.Until(next))
	}
	a.run.Close()
	m.served(a, why)
}

func (m *Member) served(a *answer, why string) {
	now := time.Now()
	s := a.run.Summary()
	m.mu.Lock()
	if a.why != "" {
		why = a.why
	}
	if why != "" {
		s.Failed, s.Ended = why, now
	}
	d := &m.donation
	delete(d.running, a.node)
	d.last = s
	switch {
	case s.Failed == "":
		d.done++
		d.desk.Ended(now, a.node, true)
	case why == "":
		d.promise.Unserved(a.node)
		d.desk.Defer(now.Add(lookAgain), a.node) // there was nothing to send
	default:
		d.failed++
		d.promise.Unserved(a.node)
		d.desk.Ended(now, a.node, s.Told)
	}
	m.rouse()
	m.mu.Unlock()
	log := m.log.With("node", a.node, "dialogs", s.Dialogs, "repairs", s.Repairs)
	switch {
	case why != "":
		log.Warn("the answer to a node that asked for dialogs broke off", "reason", why)
	case s.Failed != "":
		log.Info("a node waits for dialogs: there is none here to send")
	default:
		log.Info("sent all dialogs", "bytes", s.Bytes, "took", s.Ended.Sub(s.Began).Round(time.Millisecond))
	}
	if n := s.Refused(); n > 0 {
		log.Warn("dialogs were held back, because the node would refuse them", "dialogs", n, "sockets", s.Sockets)
	}
}

// DonorStatus is what a Member decided as a donor, and whom it answers.
type DonorStatus struct {
	Mode string `json:"mode"` // auto, never or seed
	donor.Decision
	Since time.Time `json:"since,omitzero"`
	// Running are the answers that are being sent, Owed the nodes that wait for one.
	Running   []donor.Summary `json:"running"`
	Owed      []int32         `json:"owed"`
	Last      donor.Summary   `json:"last,omitzero"`
	Completed uint64          `json:"completed"`
	Failed    uint64          `json:"failed"`
}

func (d *donation) status() DonorStatus {
	s := DonorStatus{Mode: d.promise.Mode().String(), Decision: d.decision, Since: d.since, Running: []donor.Summary{}, Owed: []int32{},
		Last: d.last, Completed: d.done, Failed: d.failed}
	for _, id := range slices.Sorted(maps.Keys(d.running)) {
		s.Running = append(s.Running, d.running[id].summary)
	}
	s.Owed = append(s.Owed, d.desk.Owed()...)
	return s
}
