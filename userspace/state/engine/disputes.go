package engine

import (
	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/state/conflicts"
)

// disputes are the events of a group that are in a conflict about a sharing tag. As long as no tag was ever moved from
// one node to another, a worker looks at one pointer a batch.
type disputes struct {
	claims *conflicts.Claims // of this batch; nil: there is nothing to judge
	found  []dispute
	view   layout.View
}

// dispute is an event in a conflict.
type dispute struct {
	event *dialog.Event
	conflicts.Event
}

func (d *disputes) begin(b *conflicts.Book) { d.claims = b.Claims() }

// judge finds the events of the group that are in a conflict. With a fence it takes those of older claimants out of the
// group.
func (w *worker) judge(s *dialog.Shard) {
	q := &w.disputes
	q.found = q.found[:0]
	if q.claims == nil {
		return
	}
	g := &w.group
	kept := 0
	for n, ev := range g.events {
		i := g.indices[n]
		if w.disputed(s, ev, i) {
			ev.Outcome = dialog.Fenced
			continue
		}
		g.events[kept], g.indices[kept] = ev, i
		kept++
	}
	g.events, g.indices = g.events[:kept], g.indices[:kept]
}

// disputed judges one event, and tells whether it is to be refused.
func (w *worker) disputed(s *dialog.Shard, ev *dialog.Event, i int32) (refuse bool) {
	q := &w.disputes
	d := &w.batch.Packets[i]
	if ev.Layout <= layout.UDP || !q.claims.Involves(d.Sender.Cluster, d.Sender.Node) {
		return false
	}
	var tag []byte
	proof := ev.Kind == dialog.Update
	if (ev.Kind == dialog.Create || ev.Kind == dialog.Update) && layout.Parse(ev.Layout, ev.Body, &q.view) == layout.NoFault {
		tag = q.view.Tag()
	}
	if ev.Kind == dialog.Value {
		// A node that answers a sync sends the reserved value for dialogs of others (weakness W6).
		var m layout.ValueChange
		proof = layout.ParseValue(ev.Layout.Version(), ev.Body, &m) == layout.NoFault && string(m.Name) != layout.TagName
	}
	known := s.Concerned(ev)
	if tag == nil && known != nil && !known.Tombstone() && layout.Parse(known.Layout(), known.Body(), &q.view) == layout.NoFault {
		tag = q.view.Tag()
	}
	if tag == nil {
		return false
	}
	v, newer, since := q.claims.Judge(d.Sender.Cluster, d.Sender.Node, tag, proof, d.Received)
	if v == conflicts.Clear {
		return false
	}
	e := conflicts.Event{Verdict: v, Node: int32(d.Sender.Node), Newer: newer, Cluster: d.Sender.Cluster, Tag: string(tag), Received: d.Received}
	if v == conflicts.ByOlder {
		e.Refused = w.engine.cfg.Conflicts.Fence()
		e.Both = known != nil && w.changedBy(known, &e, since)
	}
	if e.Refused && known != nil { // it is listed now: the event isn't applied, and doesn't find the dialog later
		callID, from, to := known.Names()
		w.engine.cfg.Conflicts.Note(&e, callID, from, to)
	} else {
		q.found = append(q.found, dispute{ev, e})
	}
	return e.Refused
}

// changedBy tells whether the newer claimant has changed the dialog since it claimed the tag.
func (w *worker) changedBy(v *dialog.View, e *conflicts.Event, since int64) bool {
	last := w.engine.Sender(v.Origin())
	return last.Cluster == e.Cluster && int32(last.Node) == e.Newer && int64(v.Updated()) >= since/1e9
}

// noteDisputes counts and lists what was found, after it was applied: then the dialog of each is in the table.
func (w *worker) noteDisputes(s *dialog.Shard) {
	for i := range w.disputes.found {
		f := &w.disputes.found[i]
		if !f.event.Changed() && !f.Refused {
			continue
		}
		var callID, from, to []byte
		if v := s.Concerned(f.event); v != nil {
			callID, from, to = v.Names()
		} else {
			callID = f.event.CallID()
		}
		w.engine.cfg.Conflicts.Note(&f.Event, callID, from, to)
	}
}
