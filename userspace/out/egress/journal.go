package egress

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"binrepd/dialog"
	"binrepd/userspace/changes"
	"binrepd/userspace/in/packets"
)

const (
	// segmentSize is the unit in which the journal is lapped: four of the longest packets, and small enough that what
	// readers pin beyond the journal's size doesn't matter.
	segmentSize = 256 << 10
	// minSegments lets a reader work on one segment while others are written.
	minSegments = 4
	// entryHeader is what precedes the bytes of each change. All numbers are little endian; size is that of the bytes, spans are
	// pairs of offsets in them.
	//
	//	0      4            5      6       7        8        16    24        40     42        44
	//	+------+------------+------+-------+--------+--------+-----+---------+------+---------+------+
	//	| size | capability | kind | state | layout | origin | seq | address | port | cluster | node |
	//	+------+------------+------+-------+--------+--------+-----+---------+------+---------+------+
	//	48       50       51         52     60    68       72     76
	//	+--------+--------+----------+------+-----+--------+------+-----------
	//	| source | framed | flags    | body | key | moment | h_id | bytes ...
	//	+--------+--------+----------+------+-----+--------+------+-----------
	entryHeader = 76
	// The flags are Change.Confirms and Change.Began.
	confirms, began = 1, 2
	// maxFree bounds the segments that are kept for use in place of pinned ones.
	maxFree = 4
)

// journal is a bounded run of the latest changes. One writer at a time extends it, and any number of Tails read it. When it is full the
// oldest segment goes.
type journal struct {
	readers atomic.Int32 // number of open Tails, written with mu held
	// For readers of the status, which take no lock; written with mu held: the positions of the oldest change held and of the next one.
	shownFirst, shownNext atomic.Uint64

	mu      sync.Mutex
	ring    []*segment // segment number n is at n modulo its length
	oldest  uint64     // number of the oldest segment held
	newest  uint64     // number of the one being written
	next    uint64     // position of the next change, counted from 0
	free    []*segment
	waiting []*Tail // those that have read everything and sleep
	closed  bool
	size    int // of a segment in bytes
}

// segment is a piece of the journal. buf[:used] never changes while the segment is pinned.
type segment struct {
	number uint64
	first  uint64 // position of its first change
	count  uint64 // changes in it
	used   int    // bytes of buf
	pins   int    // Tails that read it without the lock
	buf    []byte
}

func newJournal(segments, size int) *journal {
	return &journal{ring: make([]*segment, segments), size: size}
}

// allocateLocked takes the memory of the journal when the first Tail is opened, in one piece, so that writing doesn't allocate. The system
// provides its pages as they are written.
func (j *journal) allocateLocked() {
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

// appendLocked adds one change. It copies the bytes.
func (j *journal) appendLocked(c *changes.Change) {
	need := entryHeader + len(c.Bytes)
	s := j.ring[j.newest%uint64(len(j.ring))]
	if s.used+need > len(s.buf) {
		s = j.advanceLocked()
	}
	b := s.buf[s.used : s.used+need]
	le := binary.LittleEndian
	le.PutUint32(b, uint32(len(c.Bytes)))
	b[4], b[5], b[6], b[7] = byte(c.Capability), byte(c.Kind), byte(c.State), byte(c.Layout)
	le.PutUint64(b[8:], c.Origin)
	le.PutUint64(b[16:], c.Seq)
	copy(b[24:40], c.Sender.Addr[:])
	le.PutUint16(b[40:], c.Sender.Port)
	le.PutUint16(b[42:], c.Sender.Cluster)
	le.PutUint32(b[44:], c.Sender.Node)
	le.PutUint16(b[48:], c.Source)
	b[50], b[51] = 0, 0
	if c.Framed {
		b[50] = 1
	}
	if c.Confirms {
		b[51] = confirms
	}
	if c.Began {
		b[51] |= began
	}
	le.PutUint32(b[52:], c.BodySpan.From)
	le.PutUint32(b[56:], c.BodySpan.To)
	le.PutUint32(b[60:], c.KeySpan.From)
	le.PutUint32(b[64:], c.KeySpan.To)
	le.PutUint32(b[68:], c.Moment)
	le.PutUint32(b[72:], c.HID)
	copy(b[entryHeader:], c.Bytes)
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

// wakeLocked publishes how far the journal has come, and wakes the Tails that wait for something new.
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

// cutChange makes c the change at the front of run, which a Tail was given, and returns what is behind it. The bytes of c are a view.
func cutChange(run []byte, c *changes.Change) (rest []byte) {
	le := binary.LittleEndian
	end := entryHeader + int(le.Uint32(run))
	b := run[:entryHeader:end]
	*c = changes.Change{
		Stamp:      changes.Stamp{Origin: le.Uint64(b[8:]), Seq: le.Uint64(b[16:])},
		Bytes:      run[entryHeader:end:end],
		BodySpan:   changes.Span{From: le.Uint32(b[52:]), To: le.Uint32(b[56:])},
		KeySpan:    changes.Span{From: le.Uint32(b[60:]), To: le.Uint32(b[64:])},
		Source:     le.Uint16(b[48:]),
		Capability: changes.Capability(b[4]), Kind: dialog.Kind(b[5]), State: dialog.State(b[6]), Layout: changes.Layout(b[7]),
		Framed: b[50] == 1, Confirms: b[51]&confirms != 0, Began: b[51]&began != 0, Moment: le.Uint32(b[68:]),
		HID: le.Uint32(b[72:]),
		Sender: packets.Sender{
			Endpoint: packets.Endpoint{Addr: [16]byte(b[24:40]), Port: le.Uint16(b[40:])}, Cluster: le.Uint16(b[42:]), Node: le.Uint32(b[44:]),
		},
	}
	return run[end:]
}
