package dialog

import (
	"bytes"
	"encoding/binary"

	"binrepd/dialog/layout"
)

// timeoutJitter is by how many seconds the timeout of an unchanged dialog varies.
const timeoutJitter = 2

// same reports whether the snapshot says the same as the entry, which has its key. Contents of different widths never do.
// Layouts of one width differ in fields and so in bytes, or they read the bytes in the same way.
func same(e entry, ev *Event) bool {
	if wide(e.layout()) != wide(ev.Layout) {
		return false
	}
	at := len(ev.Body) - timeoutFrom
	if !wide(ev.Layout) {
		at = int(ev.timeoutAt)
	}
	return sameBut(e.body(), ev.Body, at)
}

// sameBut reports whether a and b are equal, but for a little jitter of the timeout at offset at of b.
func sameBut(a, b []byte, at int) bool {
	if len(a) != len(b) || !bytes.Equal(a[:at], b[:at]) || !bytes.Equal(a[at+4:], b[at+4:]) {
		return false
	}
	x, y := binary.LittleEndian.Uint32(a[at:]), binary.LittleEndian.Uint32(b[at:])
	return max(x, y)-min(x, y) <= timeoutJitter
}

// compare says by the CSeq numbers whether the snapshot is newer (above 0) or older (below 0) than the entry, in whatever
// layouts they are.
func (s *Shard) compare(e entry, ev *Event) int {
	if wide(e.layout()) && wide(ev.Layout) {
		return compareCSeqs(ev.Body, e.body())
	}
	a, b := &s.parsed[0], &s.parsed[1]
	if layout.Parse(max(ev.Layout, layout.UDP), ev.Body, a) != layout.NoFault ||
		layout.Parse(max(e.layout(), layout.UDP), e.body(), b) != layout.NoFault {
		return 0
	}
	caller := compareCSeq(a.Bytes(layout.CallerCSeq), b.Bytes(layout.CallerCSeq))
	callee := compareCSeq(a.Bytes(layout.CalleeCSeq), b.Bytes(layout.CalleeCSeq))
	if caller*callee < 0 {
		return 0
	}
	return caller + callee
}
