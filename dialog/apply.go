package dialog

import (
	"bytes"
	"encoding/binary"
)

// apply plays one event, whose tag is set, upon the shard: find what it meets, decide by the rules, do it.
func (s *Shard) apply(ev *Event, now uint32) Outcome {
	if len(ev.Body) > MaxBody {
		return RefusedMemory
	}
	var sp spot
	s.find(ev, &sp)
	var state State
	var start uint32
	taken := false
	if sp.entry != 0 {
		rec := s.slab.header(sp.entry)
		state, start = rec.state(), rec.start()
	} else if sp.at >= 0 && ev.State.BeingSetUp() {
		taken = s.taken(sp.first, ev.Key)
	}
	step, outcome := decide(ev, state, start, taken)
	var overtaken past
	switch step {
	case keep:
		return outcome
	case renew:
		rec := s.slab.record(sp.entry)
		if sameContent(rec.body(), ev.Body) {
			return Duplicate
		}
		newer := compareCSeqs(ev.Body, rec.body())
		if newer < 0 || newer == 0 && rec.past().has(contentHash(ev.Body)) {
			return Stale
		}
		if newer == 0 {
			overtaken = rec.past().with(contentHash(rec.body()))
		}
	}
	if sp.at >= 0 && !ev.State.BeingSetUp() && s.counts.early() > 0 && s.dropEarly(&sp, ev) {
		s.find(ev, &sp)
	}
	refused := NoOutcome
	switch {
	case step == bury && sp.entry == 0:
		refused = s.insert(&sp, ev, Ended, ev.Key, now)
	case step == bury:
		s.bury(&sp, lastStart(ev, state, start), ev.Origin, now)
	case sp.entry == 0:
		refused = s.insert(&sp, ev, ev.State, ev.Body, now)
	default:
		if refused = s.replace(&sp, ev, now); refused == NoOutcome && step == renew {
			s.slab.header(sp.entry).setPast(overtaken)
		}
	}
	if refused != NoOutcome {
		return refused
	}
	return outcome
}

// insert makes a new entry.
func (s *Shard) insert(sp *spot, ev *Event, state State, body Packed, now uint32) (refused Outcome) {
	if sp.chain >= s.maxPerCall {
		return RefusedCall
	}
	quota := s.quota(state)
	if !quota.take() {
		return RefusedMemory
	}
	r := s.slab.alloc(recordHeader+len(body), s.keep)
	if r == 0 {
		quota.give()
		return RefusedMemory
	}
	rec := s.slab.record(r)
	rec.fill(ev.tag, ev.Start, now, ev.Origin, state, body, len(ev.Key))
	if sp.at >= 0 {
		rec.setNext(sp.first)
		s.index.set(sp.at, ev.tag, r)
	} else if !s.index.insert(ev.tag, r, s.keep) {
		s.slab.release(r)
		quota.give()
		return RefusedMemory
	}
	s.slab.setDeadline(r, rec.slot(), s.deadline(state, ev.Timeout, now))
	s.counts.add(rec, 1)
	return NoOutcome
}

// replace puts the snapshot ev in the place of the entry.
func (s *Shard) replace(sp *spot, ev *Event, now uint32) (refused Outcome) {
	r := sp.entry
	rec := s.slab.record(r)
	if rec.state() == Ended && !s.dialogs.take() {
		return RefusedMemory
	}
	size := recordHeader + len(ev.Body)
	if s.slab.sizes.of(size) != rec.class() {
		if moved := s.slab.alloc(size, 0); moved != 0 {
			r = moved
		} else if size > s.slab.slotOf(rec) {
			if rec.state() == Ended {
				s.dialogs.give()
			}
			return RefusedMemory
		}
	}
	s.counts.add(rec, -1)
	if rec.state() == Ended {
		s.tombstones.give()
	}
	if r != sp.entry {
		s.slab.header(r).setNext(rec.next())
		s.link(sp, ev.tag, r)
		s.slab.release(sp.entry)
		sp.entry = r
		rec = s.slab.record(r)
	}
	rec.fill(ev.tag, ev.Start, now, ev.Origin, ev.State, ev.Body, len(ev.Key))
	s.slab.setDeadline(r, rec.slot(), s.deadline(ev.State, ev.Timeout, now))
	s.counts.add(rec, 1)
	return NoOutcome
}

// bury turns the entry into a tombstone. If there is no room for a small slot the tombstone stays in the old one; if there
// may be no more tombstones none is left.
func (s *Shard) bury(sp *spot, start uint32, origin uint16, now uint32) {
	rec := s.slab.record(sp.entry)
	if rec.state() != Ended && !s.tombstones.take() {
		s.counts.unremembered++
		s.remove(sp)
		return
	}
	s.counts.add(rec, -1)
	if rec.state() != Ended {
		s.dialogs.give()
	}
	tag, key := rec.tag(), rec.key()
	r := sp.entry
	if size := recordHeader + len(key); s.slab.sizes.of(size) != rec.class() {
		if moved := s.slab.alloc(size, 0); moved != 0 {
			s.slab.header(moved).setNext(rec.next())
			s.link(sp, tag, moved)
			r = moved
		}
	}
	stone := s.slab.record(r)
	stone.fill(tag, start, now, origin, Ended, key, len(key))
	if r != sp.entry {
		s.slab.release(sp.entry)
	}
	s.slab.setDeadline(r, stone.slot(), s.deadline(Ended, 0, now))
	s.counts.add(stone, 1)
}

// taken tells whether the caller of an early snapshot with this key has a live dialog or a tombstone.
func (s *Shard) taken(r ref, early Packed) bool {
	for r != 0 {
		rec := s.slab.record(r)
		if rec.state().Live() && rec.key().sameCaller(early) ||
			rec.state() == Ended && rec.key().names(early) {
			return true
		}
		r = rec.next()
	}
	return false
}

// dropEarly removes the early dialogs that ev, a live snapshot or an end, makes obsolete. If it tells true, sp is not valid any more.
func (s *Shard) dropEarly(sp *spot, ev *Event) (dropped bool) {
	obsolete := spot{at: sp.at}
	for r := sp.first; r != 0; {
		rec := s.slab.record(r)
		next := rec.next()
		key := rec.key()
		// The entry itself is about to be replaced or buried.
		if rec.state().BeingSetUp() && r != sp.entry &&
			(key.sameCaller(ev.Key) || ev.ends() && ev.Key.names(key)) {
			obsolete.entry = r
			s.remove(&obsolete)
			dropped = true
		} else {
			obsolete.prev = r
		}
		r = next
	}
	return dropped
}

func (c *counts) early() int { return c.byState[Unconfirmed] + c.byState[Early] }

func (s *Shard) quota(state State) *quota {
	if state == Ended {
		return &s.tombstones
	}
	return &s.dialogs
}

// deadline is when an entry that changes now is due to go.
func (s *Shard) deadline(state State, timeout, now uint32) uint32 {
	at := uint64(now)
	switch {
	case state == Ended:
		at += uint64(s.tombstone)
	case state.BeingSetUp():
		at += uint64(s.early)
	default:
		if latest := at + uint64(s.lifetime); uint64(timeout) > latest {
			at = latest
			s.counts.clamped++
		} else {
			at = uint64(timeout)
		}
		at += uint64(s.grace)
	}
	return uint32(min(at, maxDeadline))
}

// timeoutJitter is by how many seconds the timeout of an unchanged dialog varies.
const timeoutJitter = 2

// sameContent tells whether two packed dialogs of one key say the same.
func sameContent(a, b Packed) bool {
	if len(a) != len(b) {
		return false
	}
	at := len(a) - timeoutFrom
	if !bytes.Equal(a[:at], b[:at]) || !bytes.Equal(a[at+4:], b[at+4:]) {
		return false
	}
	x, y := binary.LittleEndian.Uint32(a[at:]), binary.LittleEndian.Uint32(b[at:])
	return max(x, y)-min(x, y) <= timeoutJitter
}
