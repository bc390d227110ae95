package dialog

// Peek returns the entry with exactly the key of ev, be it a tombstone, or nil. It is valid until the next call of any
// method of the shard.
func (s *Shard) Peek(ev *Event) *View {
	callID, _ := ev.key().part()
	for r := s.chain(s.part.Hash(callID), callID); r != 0; {
		e := s.entry(r)
		if e.is(ev) {
			s.view.e = e
			return &s.view
		}
		r = e.next()
	}
	return nil
}

// Concerned is Peek for events of every kind: the dialog of a Value or CSeq is found, too, unless it has ended.
func (s *Shard) Concerned(ev *Event) *View {
	if ev.Kind != Value && ev.Kind != CSeq {
		return s.Peek(ev)
	}
	callID, _ := ev.key().part()
	for r := s.chain(s.part.Hash(callID), callID); r != 0; {
		e := s.entry(r)
		if e.state() != waits && e.state() != Ended && e.concerns(ev) {
			s.view.e = e
			return &s.view
		}
		r = e.next()
	}
	return nil
}
