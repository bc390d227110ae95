package engine

import (
	"slices"
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
	// confirmed is how many numbers outside the window must come in a row until the window moves to them. Anybody who may send can
	// forge one: so one huge number doesn't hide what the origin says afterwards, and many hide at most so many events.
	confirmed = 16
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

	// far are the numbers outside the window that came since the last one within it.
	far  [confirmed]uint64
	fars int
}

// firstLocked notes that an event with that stamp came, and tells whether it is the first. An event that is older than the
// window counts as known, unless the window turns out to be in the wrong place.
func (s *seen) firstLocked(stamp changes.Stamp) bool {
	w := s.last
	if w == nil || w.origin != stamp.Origin {
		w = s.lookupLocked(stamp.Origin)
	}
	switch {
	case w.top == 0: // the first of that origin
		w.slide(stamp.Seq)
	case distance(stamp.Seq, w.top) >= window:
		return w.firstOutside(stamp.Seq)
	case stamp.Seq > w.top:
		w.slide(stamp.Seq)
	}
	w.fars = 0
	return w.set(stamp.Seq)
}

// firstOutside is firstLocked for a number outside the window.
func (w *windowOf) firstOutside(seq uint64) bool {
	for _, known := range w.far[:w.fars] {
		if known == seq {
			return false
		}
	}
	if w.fars > 0 && distance(seq, w.far[0]) >= window/2 { // they don't confirm each other
		w.fars = 0
	}
	w.far[w.fars] = seq
	w.fars++
	if w.fars < confirmed {
		return seq > w.top
	}
	clear(w.bits[:])
	w.top, w.fars = slices.Max(w.far[:]), 0
	for _, known := range w.far {
		w.set(known)
	}
	return true
}

func distance(a, b uint64) uint64 { return max(a, b) - min(a, b) }

// set notes a number within the window, and tells whether it is new.
func (w *windowOf) set(seq uint64) bool {
	word, bit := &w.bits[seq%window/64], uint64(1)<<(seq%64)
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
