package engine

import (
	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/changes"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// Import plays what a proxy answered when it was asked for its dialogs: body is a whole dialog in a layout, hash the
// steering hash of its Call-ID, origin the number of its source, and since what dialog.Table.BeginSync returned before
// the proxy was asked. The rules are those for a chunk of a sync: live events win, and so do remembered ends. Further,
// it never takes the place of a live dialog that isn't older, because a management interface doesn't tell all fields:
// that is a Duplicate. What changes the table is handed on as an update. The account of no intake has it.
func (e *Engine) Import(id layout.ID, body []byte, hash uint32, origin uint16, since uint8) (dialog.Outcome, layout.Fault) {
	var v layout.View
	if fault := layout.Parse(id, body, &v); fault != layout.NoFault {
		return dialog.NoOutcome, fault
	}
	var ev dialog.Event
	ev.SetSnapshot(&v, dialog.Chunk)
	ev.Hash, ev.Origin, ev.Since = hash, origin, since
	now, _ := e.clock.unix()
	s := e.cfg.Table.Lock(e.cfg.Table.ShardOf(hash))
	defer s.Unlock()
	if v := s.Peek(&ev); v != nil && v.State().Live() && v.Start() >= ev.Start {
		return dialog.Duplicate, layout.NoFault
	}
	s.Apply([]*dialog.Event{&ev}, now)
	if e.cfg.Outlet == nil || !ev.Changed() {
		return ev.Outcome, layout.NoFault
	}
	var c changes.Change
	if id == layout.UDP {
		bin1.Describe(&c, bin1.Append(nil, dialog.Update, body), &ev)
	} else {
		bin2.Describe(&c, nil, &ev)
	}
	c.Kind, c.Source = dialog.Update, origin
	e.Forward([]changes.Change{c})
	return ev.Outcome, layout.NoFault
}
