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
