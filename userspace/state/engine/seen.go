package engine

import (
	"sync"

	"binrepd/userspace/changes"
)

// Another appliance marks what it took in with its number and a sequence number. An event may come by several ways, and
// where appliances stand in a ring or a mesh, again and again. It is played once, and passed on once.

const (
	// maxPeers bounds the origins that are remembered. The one that was silent longest makes room for another.
	maxPeers = 64
	// window is how many sequence numbers of an origin are remembered. Those of different calls may come out of order by as
	// many as the rings and sockets of the appliances on the way hold. A bit for each makes 32 KiB an origin.
	window = 1 << 18
)

// seen remembers which events of other appliances came already.
type seen struct {
	mu      sync.Mutex // guards what is below; a worker takes it once a batch
	turn    uint64     // counts calls of lookup that changed the origin
	origins [maxPeers]*windowOf
	last    *windowOf
}

// windowOf is the window of one origin. It ends at the highest sequence number that came.
type windowOf struct {
	origin, top, turn uint64
	bits              [window / 64]uint64
}

// firstLocked notes that an event with that stamp came, and tells whether it is the first. An event that is older than the
// window counts as known.
func (s *seen) firstLocked(stamp changes.Stamp) bool {
	w := s.last
	if w == nil || w.origin != stamp.Origin {
		w = s.lookupLocked(stamp.Origin)
	}
	switch {
	case stamp.Seq > w.top:
		w.slide(stamp.Seq)
	case w.top-stamp.Seq >= window:
		return false
	}
	word, bit := &w.bits[stamp.Seq%window/64], uint64(1)<<(stamp.Seq%64)
	known := *word&bit != 0
	*word |= bit
	return !known
}

// slide moves the end of the window to top.
func (w *windowOf) slide(top uint64) {
	if top-w.top >= window {
		clear(w.bits[:])
		w.top = top
		return
	}
	for w.top < top {
		w.top++
		if w.top%64 == 0 && top-w.top >= 64 { // a whole word
			w.bits[w.top%window/64] = 0
			w.top += 63
			continue
		}
		w.bits[w.top%window/64] &^= 1 << (w.top % 64)
	}
}

// lookupLocked returns the window of an origin. A new one knows nothing.
func (s *seen) lookupLocked(origin uint64) *windowOf {
	s.turn++
	oldest := 0
	for i, w := range s.origins {
		if w == nil {
			w = &windowOf{origin: origin}
			s.origins[i] = w
		}
		if w.origin == origin {
			w.turn = s.turn
			s.last = w
			return w
		}
		if w.turn < s.origins[oldest].turn {
			oldest = i
		}
	}
	w := s.origins[oldest]
	*w = windowOf{origin: origin, turn: s.turn}
	s.last = w
	return w
}
