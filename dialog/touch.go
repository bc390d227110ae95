package dialog

import "encoding/binary"

// batch is how many events go through the passes of Apply together: more than the misses a core can have under way, and few
// enough for what they touch, half a dozen lines each, to stay near. An engine's batch of 512 brings a shard 32 on average and seldom
// more than 64. Measured with a million dialogs: 32 at once took a fifth longer than 64.
const batch = 64

const (
	cacheLine = 64
	// recordLines is how many lines of one record are asked for. Records that are longer are rare, and the processor sees by
	// itself that one line is read after the other.
	recordLines = 16
)

// touch computes the tags and draws what apply will need into the caches. What it finds is only a guess: the
// events before may change it.
func (s *Shard) touch(evs []*Event) {
	var at [batch]uint64
	for i, ev := range evs {
		size := binary.LittleEndian.Uint32(ev.Key)
		ev.tag = s.tagOf(ev.Key[4 : 4+size])
		at[i%batch] = uint64(s.index.home(ev.tag))
	}
	prefetchLines(s.index.mem, at[:len(evs)])
	var lines [4 * batch]uint64
	n := 0
	for i, ev := range evs {
		r := s.index.guess(int(at[i%batch]), ev.tag)
		if r == 0 {
			continue
		}
		if n > len(lines)-recordLines-1 {
			prefetchLines(s.slab.mem, lines[:n])
			n = 0
		}
		var end uint64
		// Where the deadline lies is computed rather than read in the record, which isn't there yet.
		lines[n], end = s.slab.outline(r)
		n++
		// The whole slot, whatever the event: an update is compared and overwritten, and what a deletion frees is filled next.
		from := uint64(r) * refUnit &^ (cacheLine - 1)
		for line := 0; line < recordLines && from < end; line++ {
			lines[n] = from
			from += cacheLine
			n++
		}
	}
	prefetchLines(s.slab.mem, lines[:n])
}
