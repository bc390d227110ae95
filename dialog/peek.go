package dialog

import "bytes"

// Peek returns the entry with exactly this key, a tombstone, too, or nil. It is valid until the next call of any method of the
// shard.
func (s *Shard) Peek(key Packed) *View {
	callID, _ := key.Part()
	_, r := s.chain(s.tagOf(callID), callID)
	for r != 0 {
		rec := s.slab.record(r)
		if bytes.Equal(rec.key(), key) {
			s.view.rec = rec
			return &s.view
		}
		r = rec.next()
	}
	return nil
}
