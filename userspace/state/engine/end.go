package engine

import (
	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/wire/bin1"
)

// End ends the live dialog with that packed key by hand, as a deletion from a proxy would: in the table, and at everything that the
// outlet sends to. hash is the steering hash of its Call-ID. End calls still with the shard locked, and does nothing if there is
// no such live dialog or still returns false. It tells whether it ended the dialog. The account of no intake has it.
func (e *Engine) End(hash uint32, key dialog.Packed, still func(*dialog.View) bool) bool {
	packet := bin1.Append(nil, dialog.Delete, key)
	var ev dialog.Event
	if bin1.Decode(packet, &ev) != bin1.Dialog {
		return false // no key
	}
	ev.Hash, ev.Origin = hash, OtherOrigin
	now, _ := e.clock.unix()
	s := e.cfg.Table.Lock(e.cfg.Table.ShardOf(hash))
	defer s.Unlock()
	v := s.Peek(key)
	if v == nil || !v.State().Live() || !still(v) {
		return false
	}
	s.Apply([]*dialog.Event{&ev}, now)
	if !ev.Outcome.Changed() {
		return false
	}
	var c changes.Change
	bin1.Describe(&c, packet, &ev)
	e.Forward([]changes.Change{c})
	e.ended.Add(1)
	return true
}
