package member

import (
	"slices"
	"time"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/stream"
)

// delayed is a packet that must not be sent before its time.
type delayed struct {
	at         time.Time
	node       int32
	connection uint64
	packet     []byte
}

// longestWait bounds a wait, so that a change of the clock does little harm.
const longestWait = time.Second

// wait does what is due, until Stop.
func (m *Member) wait() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var out membership.Output
	for {
		select {
		case <-m.done:
			return
		case <-m.wake:
		case <-timer.C:
		}
		now := time.Now()
		out.Reset()
		m.mu.Lock()
		m.machine.Tick(now, &out)
		m.eventsLocked(now, &out)
		due := m.dueLocked(now)
		m.mu.Unlock()
		m.perform(now, &out)
		for i := range due {
			m.send(now, due[i].node, due[i].connection, due[i].packet)
		}
		m.syncStep(now)
		m.lookForSuspects(now)
		m.decide(now)
		m.serveDue(now)
		m.mu.Lock()
		m.planned = m.nextLocked(now)
		pause := time.Until(m.planned)
		m.mu.Unlock()
		timer.Reset(max(pause, 0))
	}
}

// dueLocked takes the delayed packets whose time has come.
func (m *Member) dueLocked(now time.Time) []delayed {
	n := 0
	for n < len(m.delayed) && !m.delayed[n].at.After(now) {
		n++
	}
	due := slices.Clone(m.delayed[:n])
	m.delayed = slices.Delete(m.delayed, 0, n)
	return due
}

// nextLocked returns when something is due.
func (m *Member) nextLocked(now time.Time) time.Time {
	next := now.Add(longestWait)
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	sooner(m.machine.Next())
	sooner(m.fill.next())
	sooner(m.doubts.next())
	if m.donation.decision.Announce {
		sooner(m.donation.desk.Wake())
	}
	if len(m.delayed) > 0 {
		sooner(m.delayed[0].at)
	}
	return next
}

// plan wakes the waiting goroutine if something is due before it would wake up. The lock is held.
func (m *Member) plan() {
	if m.machine.Next().Before(m.planned) || len(m.delayed) > 0 && m.delayed[0].at.Before(m.planned) {
		m.rouse()
	}
}

// rouse wakes the waiting goroutine.
func (m *Member) rouse() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// perform writes events to the log, and sends packets or keeps them until their time.
func (m *Member) perform(now time.Time, out *membership.Output) {
	for i := range out.Events {
		m.logEvent(&out.Events[i])
	}
	for i := range out.Sends {
		s := &out.Sends[i]
		if s.At.After(now) {
			m.delay(delayed{s.At, s.Node, s.Connection, slices.Clone(s.Packet)})
			continue
		}
		m.send(now, s.Node, s.Connection, s.Packet)
	}
}

func (m *Member) delay(d delayed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, _ := slices.BinarySearchFunc(m.delayed, d.at, func(o delayed, t time.Time) int { return o.at.Compare(t) })
	m.delayed = slices.Insert(m.delayed, at, d)
	m.plan()
}

// send sends a packet on the connection that it belongs to, or on any other to the node. It never waits.
func (m *Member) send(now time.Time, id int32, connection uint64, packet []byte) {
	m.mu.Lock()
	ways := m.waysLocked(id, connection)
	m.mu.Unlock()
	for _, c := range ways {
		if c.Send(packet) == nil {
			return
		}
	}
	if id == 0 {
		return
	}
	var out membership.Output
	m.mu.Lock()
	m.counts.notSent++
	m.machine.SendFailed(now, id, &out)
	m.eventsLocked(now, &out)
	m.plan()
	m.mu.Unlock()
	m.perform(now, &out)
}

// waysLocked returns the connections for a packet, the best first.
func (m *Member) waysLocked(id int32, connection uint64) (ways []*stream.Conn) {
	if c := m.conns[connection]; c != nil {
		ways = append(ways, c)
	}
	n := m.nodes[id]
	if n == nil {
		return ways
	}
	if n.dialed != nil {
		if c := n.dialed.Conn(); c != nil {
			ways = append(ways, c)
		}
	}
	return append(ways, n.conns...)
}
