package dialog

import (
	"bytes"
	"encoding/binary"
	"math"

	"binrepd/dialog/layout"
	"binrepd/userspace/state/store"
)

// A Value or a CSeq may arrive before the snapshot of its dialog: proxies' own processes overtake each other, and during a
// sync the snapshots come late. Such a message waits as an entry of its own in the chain of its Call-ID. The snapshot that
// it waits for takes it in. If none comes, it expires. No reader of the table sees it.
//
// Its header has the state 0, the kind where others have the run, h_id where others have the start, and the
// Call-ID alone as its key. The body is the message.
const (
	waits State = 0

	// maxWaitingPerCall is how many messages wait for the dialogs of one Call-ID.
	maxWaitingPerCall = 16
	// maxWaitingBody is the size in bytes of the longest message that waits.
	maxWaitingBody = 8 << 10
)

// change plays a Value or CSeq.
func (s *Shard) change(ev *Event, now uint32) Outcome {
	var sp spot
	late, again := false, false
	waiting := 0
	callID, _ := ev.key().part()
	s.seek(ev.tag, callID, &sp)
	for r := sp.First; r != 0; {
		e := s.entry(r)
		switch {
		case e.state() == waits:
			waiting++
			again = again || e.layout() == ev.Layout && bytes.Equal(e.body(), ev.Body)
		case !e.concerns(ev):
		case e.state() == Ended:
			late = true
		default:
			sp.Entry = r
			return s.alter(&sp, ev, now)
		}
		sp.Prev, r = r, e.next()
	}
	switch {
	case late:
		return Late
	case again:
		return Duplicate
	}
	sp.Prev = 0
	return s.wait(&sp, ev, waiting, now)
}

// seek finds the chain of a Call-ID.
func (s *Shard) seek(tag uint32, callID []byte, sp *spot) {
	*sp = spot{}
	var r store.Ref
	sp.At, r = s.part.Lookup(tag)
	for r != 0 {
		if id, _ := s.entry(r).key().part(); bytes.Equal(id, callID) {
			sp.First = r
			return
		}
		sp.At, r = s.part.LookupNext(sp.At, tag)
	}
	sp.At = -1
}

// concerns reports whether ev, a Value or CSeq of the entry's Call-ID, is of the entry's dialog.
func (e entry) concerns(ev *Event) bool {
	switch {
	case hasHID(e.layout()) && hasHID(ev.Layout):
		return e.hid() == ev.HID
	case ev.Kind == Value:
		return false
	}
	return e.key().equal(ev.key()) || e.key().mirrors(ev.key())
}

// wait puts ev aside, if there is room.
func (s *Shard) wait(sp *spot, ev *Event, waiting int, now uint32) Outcome {
	if waiting >= maxWaitingPerCall || len(ev.Body) > maxWaitingBody || s.waitTime == 0 || !s.waiting.Take() {
		return Unknown
	}
	r := s.part.Insert(&sp.Spot, ev.tag, entryHeader+len(ev.Body))
	if r == 0 {
		s.waiting.Give()
		return Unknown
	}
	e := s.entry(r)
	callID, _ := ev.key().part()
	e.fill(ev.HID, now, ev.Origin, waits, ev.Layout, ev.Body, 2+len(callID))
	e[atRun] = byte(ev.Kind)
	s.part.SetDeadline(r, uint32(min(uint64(now)+uint64(s.waitTime), store.MaxDeadline)))
	s.counts.add(e, 1)
	return Waiting
}

// settle applies what waits for the dialog of ev, whose snapshot was stored just now, the oldest message first.
func (s *Shard) settle(ev *Event, now uint32) {
	callID, _ := ev.key().part()
	for range maxWaitingPerCall {
		var sp, oldest spot
		s.seek(ev.tag, callID, &sp)
		for r := sp.First; r != 0; {
			e := s.entry(r)
			if e.state() == waits && e.waitsFor(ev) { // new entries come first in the chain
				oldest = sp
				oldest.Entry = r
			}
			sp.Prev, r = r, e.next()
		}
		if oldest.Entry == 0 {
			return
		}
		e := s.entry(oldest.Entry)
		s.message = append(s.message[:0], e.body()...)
		w := &s.settled
		*w = Event{
			Kind: Kind(e.run()), Layout: e.layout(), HID: e.start(), Origin: e.origin(), tag: ev.tag,
			Body: s.message, Key: s.message[:e.keySize()],
		}
		if w.Kind == CSeq {
			w.Key = s.message[:keyEnd(s.message)]
		}
		s.remove(&oldest)
		if w.Outcome = s.change(w, now); w.Outcome == Waiting {
			return // cannot be: its dialog is there
		}
		s.counts.settled++
	}
}

// keyEnd returns where three strings of generation 2 end.
func keyEnd(b []byte) (off int) {
	for range keyFields {
		off += 2 + int(binary.LittleEndian.Uint16(b[off:]))
	}
	return off
}

// waitsFor reports whether the message that waits is for the dialog that ev, a snapshot, has stored.
func (e entry) waitsFor(ev *Event) bool {
	if hasHID(e.layout()) && hasHID(ev.Layout) {
		return e.start() == ev.HID
	}
	if Kind(e.run()) == Value {
		return false
	}
	body := e.body()
	k := key{body[:keyEnd(body)], false}
	return k.equal(ev.key()) || k.mirrors(ev.key())
}

// alter changes a field of the dialog at sp as ev says.
func (s *Shard) alter(sp *spot, ev *Event, now uint32) Outcome {
	e := s.entry(sp.Entry)
	v := &s.parsed[0]
	if layout.Parse(max(e.layout(), layout.UDP), e.body(), v) != layout.NoFault {
		return RefusedChange
	}
	if ev.Kind == CSeq {
		var m layout.CSeqChange
		if layout.ParseCSeq(ev.Layout.Version(), ev.Body, &m) != layout.NoFault {
			return RefusedChange
		}
		switch v.ApplyCSeq(&m) {
		case layout.Same:
			return Duplicate
		case layout.Stale:
			return Stale
		case layout.NotLeg:
			return Unknown
		}
		s.touch(e, ev, now)
		return Applied
	}
	var m layout.ValueChange
	if layout.ParseValue(ev.Layout.Version(), ev.Body, &m) != layout.NoFault {
		return RefusedChange
	}
	body, changed, fault := v.ApplyValue(s.scratch[:0], &m)
	s.scratch = body[:0]
	switch {
	case fault != layout.NoFault || len(body) > MaxBody:
		return RefusedChange
	case changed == layout.Same:
		return Duplicate
	}
	timeout := v.Number(layout.Timeout)
	s.counts.add(e, -1)
	if !s.part.Resize(&sp.Spot, entryHeader+len(body), entryHeader) {
		s.counts.add(e, 1)
		return RefusedMemory
	}
	e = s.entry(sp.Entry)
	copy(e[entryHeader:], body)
	binary.LittleEndian.PutUint16(e[atBodySize:], uint16(len(body)))
	s.part.SetDeadline(sp.Entry, s.deadline(e.state(), timeout, now))
	s.counts.add(e, 1)
	s.touch(e, ev, now)
	return Applied
}

// touch notes that a live event has told of the dialog.
func (s *Shard) touch(e entry, ev *Event, now uint32) {
	binary.LittleEndian.PutUint32(e[atUpdated:], now)
	binary.LittleEndian.PutUint16(e[atOrigin:], ev.Origin)
	e[atRun] = s.run()
}

// BeginSync is called when a sync is requested, and returns Event.Since for its chunks. Dialogs of which live events tell
// from now on are left alone by them.
func (t *Table) BeginSync() uint8 {
	for {
		run := uint8(t.run.Add(1))
		if run != 0 {
			return run
		}
	}
}

// run is the number of the last sync that was requested, 1 if none was.
func (s *Shard) run() uint8 { return max(uint8(s.runs.Load()), 1) }

// touched reports whether live events told of the dialog since the sync of a Chunk was requested. Runs are compared in a
// circle. So a dialog of which nothing told for 128 syncs may count as touched.
func (e entry) touched(ev *Event) bool {
	run := e.run()
	return run != 0 && (ev.Since == 0 || run-ev.Since <= math.MaxInt8)
}
