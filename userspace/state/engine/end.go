package engine

import (
	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
)

// End ends the live dialog of that packed key by hand: as a deletion would, for which it makes the packet, in the table and at
// everybody whom the outlet tells. hash is the steering hash of its Call-ID. It does so only if there is one and still, which
// is called with its shard locked, agrees, and tells whether it did. No listener's account has it.
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
	if e.cfg.Outlet != nil {
		e.cfg.Outlet.Forward([]*dialog.Event{&ev}, []*packets.Packet{{Payload: packet, Hash: hash, Received: e.cfg.Now().UnixNano()}})
	}
	e.ended.Add(1)
	return true
}
