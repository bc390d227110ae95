package dialog

import "bytes"

// Peek returns the entry with exactly this key, be it a tombstone, or nil. It is valid until the next call of any
// method of the shard.
func (s *Shard) Peek(key Packed) *View {
	callID, _ := key.Part()
	for r := s.chain(s.part.Hash(callID), callID); r != 0; {
		e := s.entry(r)
		if bytes.Equal(e.key(), key) {
			s.view.e = e
			return &s.view
		}
		r = e.next()
	}
	return nil
}
