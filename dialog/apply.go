package dialog

import (
	"encoding/binary"

	"binrepd/userspace/state/store"
)

// apply plays one event, whose tag is set, on the shard: find what it meets, decide by the rules, do it.
func (s *Shard) apply(ev *Event, now uint32) Outcome {
	if len(ev.Body) > MaxBody {
		return RefusedMemory
	}
	ev.EndedHID = 0
	if ev.Kind == Value || ev.Kind == CSeq {
		return s.change(ev, now)
	}
	var sp spot
	s.find(ev, &sp)
	var state State
	var start uint32
	taken := false
	if sp.Entry != 0 {
		e := s.entry(sp.Entry)
		state, start = e.state(), e.start()
	} else if sp.At >= 0 && ev.State.BeingSetUp() {
		taken = s.taken(sp.First, ev.key())
	}
	if ev.Kind == Chunk && state.Live() && s.entry(sp.Entry).touched(ev) {
		return Duplicate
	}
	step, outcome := decide(ev, state, start, taken)
	switch step {
	case leave:
		return outcome
	case renew:
		e := s.entry(sp.Entry)
		if same(e, ev) {
			if ev.Kind == Update {
				e[atRun] = s.run()
			}
			e.repeated(ev)
			return Duplicate
		}
		if !e.overtakenBy(ev, s.compare(e, ev), now) {
			if ev.Kind == Chunk {
				return Duplicate
			}
			return Stale
		}
	}
	if sp.At >= 0 && !ev.State.BeingSetUp() && s.counts.early() > 0 && s.dropEarly(&sp, ev) {
		s.find(ev, &sp)
	}
	refused := NoOutcome
	switch {
	case step == bury && sp.Entry == 0:
		refused = s.insert(&sp, ev, Ended, s.nameOf(ev), now)
	case step == bury:
		if state != Ended {
			ev.EndedHID = s.entry(sp.Entry).anyHID()
		}
		s.bury(&sp, lastStart(ev, state, start), ev.Origin, now)
	case sp.Entry == 0:
		refused = s.insert(&sp, ev, ev.State, ev.Body, now)
	default:
		refused = s.replace(&sp, ev, now)
	}
	if refused != NoOutcome {
		return refused
	}
	if step != bury && s.counts.byState[waits] > 0 {
		s.settle(ev, now)
	}
	return outcome
}

// nameOf returns what a deletion of the dialog of ev says in its layout.
func (s *Shard) nameOf(ev *Event) []byte {
	switch {
	case !hasHID(ev.Layout):
		return ev.Key
	case ev.Kind == Delete:
		return ev.Body
	}
	s.scratch = binary.LittleEndian.AppendUint32(append(s.scratch[:0], ev.Key...), ev.HID)
	return s.scratch
}

// insert makes a new entry.
func (s *Shard) insert(sp *spot, ev *Event, state State, body []byte, now uint32) (refused Outcome) {
	if sp.length >= s.maxPerCall {
		return RefusedCall
	}
	quota := s.quota(state)
	if !quota.Take() {
		return RefusedMemory
	}
	r := s.part.Insert(&sp.Spot, ev.tag, entryHeader+len(body))
	if r == 0 {
		quota.Give()
		return RefusedMemory
	}
	e := s.entry(r)
	e.fill(ev.Start, now, ev.Origin, state, ev.Layout, body, len(ev.Key))
	if ev.Kind != Chunk {
		e[atRun] = s.run()
	}
	e.sign(ev, mark{}.next(ev, now, 0))
	s.part.SetDeadline(r, s.deadline(state, ev.Timeout, now))
	s.counts.add(e, 1)
	return NoOutcome
}

// replace puts the snapshot ev in the place of the entry.
func (s *Shard) replace(sp *spot, ev *Event, now uint32) (refused Outcome) {
	ended := s.entry(sp.Entry).state() == Ended
	if ended && !s.dialogs.Take() {
		return RefusedMemory
	}
	if !s.part.Resize(&sp.Spot, entryHeader+len(ev.Body), entryHeader) {
		if ended {
			s.dialogs.Give()
		}
		return RefusedMemory
	}
	e := s.entry(sp.Entry)
	s.counts.add(e, -1)
	run := e.run()
	if ended {
		s.tombstones.Give()
	}
	m := e.mark().next(ev, now, e.age(now))
	e.fill(ev.Start, now, ev.Origin, ev.State, ev.Layout, ev.Body, len(ev.Key))
	if e[atRun] = run; ev.Kind != Chunk {
		e[atRun] = s.run()
	}
	e.sign(ev, m)
	s.part.SetDeadline(sp.Entry, s.deadline(ev.State, ev.Timeout, now))
	s.counts.add(e, 1)
	return NoOutcome
}

// bury turns the entry into a tombstone. If there is no memory for a small slot, the tombstone stays in the old one. If
// there are too many tombstones, the dialog leaves none.
func (s *Shard) bury(sp *spot, start uint32, origin uint16, now uint32) {
	e := s.entry(sp.Entry)
	if e.state() != Ended && !s.tombstones.Take() {
		s.counts.unremembered++
		s.remove(sp)
		return
	}
	s.counts.add(e, -1)
	if e.state() != Ended {
		s.dialogs.Give()
	}
	id, keySize := e.layout(), e.keySize()
	size, hid := entryHeader+keySize, uint32(0)
	if hasHID(id) {
		hid = e.hid()
		size += 4
	}
	s.part.Resize(&sp.Spot, size, entryHeader+keySize) // never fails, because the entry doesn't grow
	stone := s.entry(sp.Entry)
	if hasHID(id) {
		binary.LittleEndian.PutUint32(stone[entryHeader+keySize:], hid)
	}
	stone.fill(start, now, origin, Ended, id, stone[entryHeader:size], keySize)
	s.part.SetDeadline(sp.Entry, s.deadline(Ended, 0, now))
	s.counts.add(stone, 1)
}

// taken reports whether the caller of an early snapshot with this key has a live dialog or a tombstone.
func (s *Shard) taken(r store.Ref, early key) bool {
	for r != 0 {
		e := s.entry(r)
		if e.state().Live() && e.key().sameCaller(early) ||
			e.state() == Ended && e.key().names(early) {
			return true
		}
		r = e.next()
	}
	return false
}

// dropEarly removes the early dialogs that ev, a live snapshot or an end, makes obsolete. It reports whether there were
// any; then sp is not valid any more.
func (s *Shard) dropEarly(sp *spot, ev *Event) (dropped bool) {
	var prev store.Ref
	first := sp.First
	for r := first; r != 0; {
		e := s.entry(r)
		next := e.next()
		key := e.key()
		// The entry itself is about to be replaced or buried.
		if e.state().BeingSetUp() && r != sp.Entry &&
			(key.sameCaller(ev.key()) || ev.ends() && ev.key().names(key)) {
			s.remove(&spot{Spot: store.Spot{At: sp.At, First: first, Prev: prev, Entry: r}})
			if prev == 0 {
				first = next
			}
			dropped = true
		} else {
			prev = r
		}
		r = next
	}
	return dropped
}
