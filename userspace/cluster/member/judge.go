package member

import (
	"fmt"
	"time"

	"binrepd/dialog/layout"
	"binrepd/userspace/wire/bin2"
)

// Doubts returns the nodes that may have dropped calls, with the time in which these began.
func (m *Member) Doubts() []Doubt {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.doubts.list()
}

// doubtLocked opens the doubt about a node that isn't synced.
func (m *Member) doubtLocked(now time.Time, id int32) {
	m.gaps.unsynced(id)
	if m.cfg.Judge != nil {
		m.doubts.begin(now, m.cfg.Cluster, id)
	}
}

// syncedLocked closes the doubt about a node. Releases before 3.2 drop nothing (spec bin-tcp, 3.5).
func (m *Member) syncedLocked(now time.Time, id int32) {
	m.gaps.synced(now, id)
	if m.doubts.open[id] == nil {
		return
	}
	for _, n := range m.machine.Status().Nodes {
		if n.Node == id && n.Dialect.Numbering == bin2.Old {
			delete(m.doubts.open, id)
			return
		}
	}
	m.doubts.end(now, id, m.cfg.Times.Doubt)
	m.rouse()
}

// lookForSuspects does so if it is due, in a goroutine of its own, because a look takes every lock of the table in turn.
func (m *Member) lookForSuspects(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.doubts.take(now)
	if d == nil || m.stopped {
		return
	}
	m.doubts.looking = true
	about := d.Doubt
	m.timing.Go(func() {
		list := m.cfg.Judge.Suspects(about)
		now := time.Now()
		m.mu.Lock()
		m.doubts.looking = false
		ask := m.doubts.found(now, d, list, m.cfg.Times.Pause)
		if ask {
			m.fill.want(now, fmt.Sprintf("node %d may have dropped calls", d.Node), d.Node)
		}
		m.rouse()
		m.mu.Unlock()
		if len(list) > 0 {
			m.log.Info("calls that a node accepted before it was synced are suspects", "node", about.Node, "calls", len(list), "asked", ask)
		}
	})
}

// chunksSeen tells the trial, if one runs, which dialogs a packet of the sync has.
func (m *Member) chunksSeen(source int32, p bin2.Packet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	doubted := m.doubts.trial != nil && m.doubts.trial.node == source
	if gapped := m.gaps.trial != nil && m.gaps.trial.Node == source; !doubted && !gapped {
		return
	}
	s, fault := layout.ParseSync(p.Version(), p.Body())
	for fault == layout.NoFault && s.Next() {
		if m.doubts.trial != nil && doubted {
			m.doubts.saw(s.Chunk)
		}
		if m.gaps.trial != nil {
			m.gaps.saw(s.Chunk)
		}
	}
}

// endSuspects ends the suspects that the sync has proven to be gone.
func (m *Member) endSuspects(r *SyncResult) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.gaps.ended(r); a != nil && !m.stopped {
		m.timing.Go(func() { m.endAbsent(a, r.Chunks) })
	}
	list := m.doubts.proven(r)
	if len(list) == 0 || m.stopped {
		return
	}
	node := r.Donor
	m.timing.Go(func() {
		ended := m.cfg.Judge.EndSuspects(list)
		m.mu.Lock()
		m.doubts.removed += uint64(ended)
		m.mu.Unlock()
		m.log.Warn("calls were ended: the node accepted them before it was synced, and hasn't them", "node", node, "calls", ended)
	})
}
