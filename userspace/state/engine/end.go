package engine

import (
	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// End ends the live dialog of that name by hand, as a deletion from a proxy would: in the table, and at everything that the
// outlet sends to. hash is the steering hash of its Call-ID. End calls still with the shard locked, and does nothing if there is
// no such live dialog or still returns false. It tells whether it ended the dialog. The account of no intake has it.
func (e *Engine) End(hash uint32, name dialog.Name, still func(*dialog.View) bool) bool {
	var ev dialog.Event
	if ev.SetDeletion(name.Layout, name.Deletion) != layout.NoFault {
		return false // no name
	}
	ev.Hash, ev.Origin = hash, OtherOrigin
	now, _ := e.clock.unix()
	s := e.cfg.Table.Lock(e.cfg.Table.ShardOf(hash))
	defer s.Unlock()
	v := s.Peek(&ev)
	if v == nil || !v.State().Live() || !still(v) {
		return false
	}
	s.Apply([]*dialog.Event{&ev}, now)
	if !ev.Changed() {
		return false
	}
	var c changes.Change
	if name.Layout == layout.UDP {
		bin1.Describe(&c, bin1.Append(nil, dialog.Delete, name.Deletion), &ev)
	} else {
		bin2.Describe(&c, nil, &ev)
	}
	e.Forward([]changes.Change{c})
	e.ended.Add(1)
	return true
}
