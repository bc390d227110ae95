package dialog

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// Two updates of one call with the same start and state are ordered by what is known of them, in this order:
//
//  1. Two contents that one appliance told of are ordered by their moments. Nothing else decides between them.
//  2. The CSeq numbers of the last request towards each side order them: these only grow.
//  3. Contents from two appliances are ordered by their moments, and where these are equal, by their bytes. So all
//     appliances choose the same one, in whatever order they learn of the two.
//  4. What one proxy said last, in order of arrival, is the state.
//
// A moment is a clock and a counter in one (a hybrid logical clock: Kulkarni et al., "Logical Physical Clocks", 2014). The
// appliance that takes an event in gives the content the time in Unix seconds, or one more than the moment of the content
// before, whichever is later. The moment travels with the event from appliance to appliance (Event.Moment).
//
// Rule 4 has two exceptions, because an appliance of an earlier version passes events on without a mark. They look as if a
// proxy had sent them, and would go round for ever between appliances:
//
//   - Within settleTime of a change, another proxy's content of which rules 1 to 3 say nothing is old.
//   - A dialog takes hurryLimit such contents at once, and then one a second.

const (
	// settleTime is in seconds of the clock, of which the first may be short. An event takes much less from appliance to
	// appliance, and a proxy that takes a call over takes longer.
	settleTime = 2
	// hurryLimit is more updates than any call has at once. It fits the 12 bits that the header has for it.
	hurryLimit = 1024
)

// mark is what an entry remembers of where its content comes from.
type mark struct {
	moment uint32
	peer   uint16 // Event.Peer, up to MaxPeer
	hurry  uint16 // contents of proxies taken in lately: each adds one, each second takes one away
}

// next returns the mark after the content of ev has taken the place of one marked m, which is as old as that many seconds.
func (m mark) next(ev *Event, now, seconds uint32) mark {
	hurry := m.calmed(seconds)
	if ev.Peer != 0 {
		return mark{ev.Moment, ev.Peer, hurry}
	}
	return mark{max(m.moment+1, now), 0, min(hurry, hurryLimit) + 1}
}

func (m mark) calmed(seconds uint32) uint16 {
	return m.hurry - uint16(min(uint32(m.hurry), seconds))
}

// overtakenBy tells whether the content of ev is newer than that of e, which has the same start and state. cseqs says what
// the CSeq numbers tell: above 0 that ev is newer, below 0 that it is older.
func (e entry) overtakenBy(ev *Event, cseqs int, now uint32) bool {
	m := e.mark()
	switch {
	case ev.Peer != 0 && ev.Peer == m.peer:
		return ev.Moment > m.moment
	case cseqs != 0:
		return cseqs > 0
	case ev.Peer != 0 && ev.Moment != m.moment:
		return ev.Moment > m.moment
	case ev.Peer != 0:
		return bytes.Compare(ev.Body, e.body()) > 0
	}
	age := e.age(now)
	if m.peer == 0 && ev.Origin != e.origin() && age < settleTime {
		return false
	}
	return m.calmed(age) < hurryLimit
}

// repeated notes that ev says again what e holds. If another appliance says so at a later moment, the entry takes that
// moment, and the appliances that have something between the two must learn of it (Event.Confirms).
func (e entry) repeated(ev *Event) {
	m := e.mark()
	if ev.Peer == 0 || ev.Moment <= m.moment {
		return
	}
	m.moment, m.peer = ev.Moment, ev.Peer
	e.setMark(m)
	ev.Confirms = true
}

// age is for how many seconds the entry has been as it is.
func (e entry) age(now uint32) uint32 { return max(now, e.updated()) - e.updated() }

func (e entry) mark() mark {
	b := e[atPeer:entryHeader:entryHeader]
	return mark{
		binary.LittleEndian.Uint32(e[atMoment:]),
		uint16(b[0]) | uint16(b[1]&0xf)<<8,
		uint16(b[1]>>4) | uint16(b[2])<<4,
	}
}

// sign marks the entry, into which the content of ev has just been stored.
func (e entry) sign(ev *Event, m mark) {
	e.setMark(m)
	ev.Moment = m.moment
}

func (e entry) setMark(m mark) {
	binary.LittleEndian.PutUint32(e[atMoment:], m.moment)
	b := e[atPeer:entryHeader:entryHeader]
	b[0], b[1], b[2] = byte(m.peer), byte(m.peer>>8)&0xf|byte(m.hurry)<<4, byte(m.hurry>>4)
}

// compareCSeqs says by the CSeq numbers which of two contents of one dialog is newer: above 0 it is a, below 0 it is b,
// and at 0 they don't tell. A number that one side lacks says nothing. Neither does 0: a proxy that learned of the
// dialog by replication begins there again (see docs/protocol.md).
func compareCSeqs(a, b Packed) int {
	aCaller, aCallee := cseqs(a)
	bCaller, bCallee := cseqs(b)
	caller, callee := compareCSeq(aCaller, bCaller), compareCSeq(aCallee, bCallee)
	if caller*callee < 0 {
		return 0
	}
	return caller + callee
}

func compareCSeq(a, b []byte) int {
	if bytes.Equal(a, b) {
		return 0
	}
	x, errX := strconv.ParseUint(string(a), 10, 32)
	y, errY := strconv.ParseUint(string(b), 10, 32)
	switch {
	case errX != nil || errY != nil || x == 0 || y == 0 || x == y:
		return 0
	case x > y:
		return 1
	}
	return -1
}

// cseqs finds the two CSeq fields of a packed dialog.
func cseqs(p Packed) (caller, callee []byte) {
	off := 0
	skip := func(n int) {
		for range n {
			off += 4 + int(binary.LittleEndian.Uint32(p[off:]))
		}
	}
	skip(int(HID))                       // strings
	off += 4 * int(CallerSocket-HID)     // numbers
	skip(int(CallerCSeq - CallerSocket)) // sockets
	caller, rest := p[off:].Part()
	callee, _ = rest.Part()
	return caller, callee
}
