package egress

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
)

const (
	// segmentSize is the unit in which the journal is lapped: four of the longest packets, and small enough that what
	// readers pin beyond the journal's size doesn't matter.
	segmentSize = 256 << 10
	// minSegments lets a reader work on one segment while others are written.
	minSegments = 4
	// recordHeader is what precedes each packet:
	//
	//	0       4      5   6        8         24     26  28
	//	+-------+------+---+--------+---------+------+---+-----------
	//	| size  | kind | 0 | origin | address | port | 0 | packet ...
	//	+-------+------+---+--------+---------+------+---+-----------
	recordHeader = 28
	// maxFree bounds the segments kept for when a pinned one can't be used again.
	maxFree = 4
)

// change is one record of the journal.
type change struct {
	kind   dialog.Kind
	origin uint16           // of the dialog, in the engine's register
	source packets.Endpoint // where the packet came from
	packet []byte
}

// journal is a bounded run of the latest changes, which one writer at a time extends and any number of Tails read.
// Overflow policy: the oldest segment goes.
type journal struct {
	readers atomic.Int32 // number of open Tails, written with mu held
	// For those who look and take no lock, written with mu held: the sequence numbers of the oldest change held and of the next one.
	shownFirst, shownNext atomic.Uint64

	mu      sync.Mutex
	ring    []*segment // segment number n is at n modulo its length
	oldest  uint64     // number of the oldest segment held
	newest  uint64     // number of the one being written
	next    uint64     // sequence number of the next change
	free    []*segment
	waiting []*Tail // have read everything and sleep
	closed  bool
	size    int // of a segment in bytes
}

// segment is a piece of the journal. buf[:used] never changes while the segment is pinned.
type segment struct {
	number uint64
	first  uint64 // sequence number of its first change
	count  uint64 // changes in it
	used   int    // bytes of buf
	pins   int    // Tails that read it without the lock
	buf    []byte
}

func newJournal(segments, size int) *journal {
	return &journal{ring: make([]*segment, segments), size: size}
}

// furnishLocked gives the journal its memory when the first Tail is opened, in one piece, so that writing doesn't allocate. The
// system provides pages of it as they are written.
func (j *journal) furnishLocked() {
	if j.ring[0] != nil {
		return
	}
	memory := make([]byte, len(j.ring)*j.size)
	for i := len(j.ring) - 1; i >= 0; i-- {
		j.free = append(j.free, &segment{buf: memory[i*j.size : (i+1)*j.size : (i+1)*j.size]})
	}
	last := len(j.free) - 1
	j.ring[0], j.free = j.free[last], j.free[:last]
}

// appendLocked adds one change. It copies the packet.
func (j *journal) appendLocked(kind dialog.Kind, origin uint16, source *packets.Endpoint, packet []byte) {
	need := recordHeader + len(packet)
	s := j.ring[j.newest%uint64(len(j.ring))]
	if s.used+need > len(s.buf) {
		s = j.advanceLocked()
	}
	b := s.buf[s.used : s.used+need]
	binary.LittleEndian.PutUint32(b, uint32(len(packet)))
	b[4], b[5] = byte(kind), 0
	binary.LittleEndian.PutUint16(b[6:], origin)
	copy(b[8:24], source.Addr[:])
	binary.LittleEndian.PutUint32(b[24:], uint32(source.Port))
	copy(b[recordHeader:], packet)
	s.used += need
	s.count++
	j.next++
}

// advanceLocked starts the next segment, in the memory of the oldest one if nobody reads it.
func (j *journal) advanceLocked() *segment {
	j.newest++
	slot := &j.ring[j.newest%uint64(len(j.ring))]
	s := *slot
	if s != nil {
		j.oldest = s.number + 1
		j.shownFirst.Store(j.ring[j.oldest%uint64(len(j.ring))].first)
	}
	if s == nil || s.pins > 0 {
		if n := len(j.free); n > 0 {
			s, j.free = j.free[n-1], j.free[:n-1]
		} else {
			s = &segment{buf: make([]byte, j.size)}
		}
	}
	s.number, s.first, s.count, s.used = j.newest, j.next, 0, 0
	*slot = s
	return s
}

// wakeLocked shows how far the journal has come, and wakes the Tails that wait for something new.
func (j *journal) wakeLocked() {
	j.shownNext.Store(j.next)
	for i, t := range j.waiting {
		select {
		case t.wake <- struct{}{}:
		default:
		}
		j.waiting[i] = nil
	}
	j.waiting = j.waiting[:0]
}

// unpinLocked gives a segment back that a Tail has read.
func (j *journal) unpinLocked(s *segment) {
	s.pins--
	if s.pins == 0 && j.ring[s.number%uint64(len(j.ring))] != s && len(j.free) < maxFree {
		j.free = append(j.free, s)
	}
}

// close lets the Tails read to the end and then tells them so.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	j.wakeLocked()
}

// cutChange reads the change at the front of run, which a Tail was given, and returns what is behind it.
func cutChange(run []byte) (c change, rest []byte) {
	end := recordHeader + int(binary.LittleEndian.Uint32(run))
	c.kind = dialog.Kind(run[4])
	c.origin = binary.LittleEndian.Uint16(run[6:])
	copy(c.source.Addr[:], run[8:24])
	c.source.Port = binary.LittleEndian.Uint16(run[24:])
	c.packet = run[recordHeader:end:end]
	return c, run[end:]
}
