package egress

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"binrepd/userspace/changes"
)

// Tail is a reading position in the journal. It begins at what is forwarded after it was opened. One goroutine uses it; any may call
// Head and standing. It must be closed.
type Tail struct {
	journal *journal
	wake    chan struct{}
	change  changes.Change // handed out by Read

	// The journal's lock guards what is below.
	segment uint64 // number of the segment to read next
	offset  int    // in it
	seq     uint64 // position of the change there
	dropped uint64 // changes overwritten before they were read
	pinned  *segment
	closed  bool

	shown shown
}

// shown is the position of a Tail, published for readers of the status. They take no lock that Forward or the reader of the Tail waits for. After each
// change of these numbers
//
//	seq = taken + dropped
//
// taken is written before seq, and read after it. So a look in between sees too few dropped changes, never too many.
type shown struct {
	// Written with the journal's lock held: the position of the change to read next, and that number less the dropped changes. taken only
	// grows: if Read gave changes back, it is ahead of what was read until they are read again.
	seq, taken atomic.Uint64

	mu   sync.Mutex // guards what is below; only readers of the status take it
	most uint64     // dropped changes as told last: what is told never falls
}

// showLocked publishes how the Tail stands. It does so before the journal's lock is given up. As soon as the lock is free the segment may be
// overwritten, and a look at that moment would count what was read as dropped.
func (t *Tail) showLocked() {
	if taken := t.seq - t.dropped; taken > t.shown.taken.Load() {
		t.shown.taken.Store(taken)
	}
	t.shown.seq.Store(t.seq)
}

func (j *journal) tail() *Tail {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.allocateLocked()
	s := j.ring[j.newest%uint64(len(j.ring))]
	j.readers.Add(1)
	t := &Tail{journal: j, wake: make(chan struct{}, 1), segment: s.number, offset: s.used, seq: j.next}
	t.showLocked()
	return t
}

// takeLocked returns the next run of changes, up to the end of a segment, and the number of them; nothing if all has been read. The run
// is a view, valid until the next take or Close.
func (t *Tail) takeLocked() (run []byte, n uint64) {
	j := t.journal
	defer t.showLocked()
	t.unpinLocked()
	if t.segment < j.oldest {
		s := j.ring[j.oldest%uint64(len(j.ring))]
		t.dropped += s.first - t.seq
		t.segment, t.offset, t.seq = s.number, 0, s.first
	}
	for {
		s := j.ring[t.segment%uint64(len(j.ring))]
		if t.offset < s.used {
			run = s.buf[t.offset:s.used:s.used]
			n = s.first + s.count - t.seq
			t.offset, t.seq = s.used, t.seq+n
			s.pins++
			t.pinned = s
			return run, n
		}
		if s.number == j.newest {
			return nil, 0
		}
		t.segment, t.offset = s.number+1, 0
	}
}

func (t *Tail) unpinLocked() {
	if t.pinned != nil {
		t.journal.unpinLocked(t.pinned)
		t.pinned = nil
	}
}

// take waits for something new and returns the next run of changes and the number of them. When the journal is closed and all of
// it has been read the error is net.ErrClosed, and when ctx ends the context's.
func (t *Tail) take(ctx context.Context) (run []byte, n uint64, err error) {
	j := t.journal
	for {
		j.mu.Lock()
		run, n = t.takeLocked()
		closed := j.closed
		if run == nil && !closed && !slices.Contains(j.waiting, t) {
			j.waiting = append(j.waiting, t)
		}
		j.mu.Unlock()
		switch {
		case run != nil:
			return run, n, ctx.Err()
		case closed:
			return nil, 0, net.ErrClosed
		}
		select {
		case <-t.wake:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// Head returns the position of the change that will be forwarded next.
func (t *Tail) Head() uint64 {
	t.journal.mu.Lock()
	defer t.journal.mu.Unlock()
	return t.journal.next
}

// Read calls fn for each change from where the last Read ended up to position to, or as far as there are any. It doesn't wait. The change
// and its bytes are valid until fn returns. lost counts changes that were overwritten before they could be read. An error of fn ends
// it and is returned.
func (t *Tail) Read(to uint64, fn func(*changes.Change) error) (lost uint64, err error) {
	j := t.journal
	for err == nil {
		j.mu.Lock()
		before := t.dropped
		var run []byte
		var n uint64
		if t.seq < to {
			run, n = t.takeLocked()
		}
		lost += t.dropped - before
		first := t.seq - n // of the run
		j.mu.Unlock()
		if run == nil {
			return lost, nil
		}
		for n > 0 && first < to && err == nil {
			run = cutChange(run, &t.change)
			err = fn(&t.change)
			first++
			n--
		}
		if n > 0 {
			j.mu.Lock()
			t.offset -= len(run)
			t.seq -= n
			t.showLocked()
			j.mu.Unlock()
		}
	}
	return lost, err
}

// standing tells how many changes wait to be taken, and how many were overwritten before they were. It doesn't take the journal's lock.
func (t *Tail) standing() (queued, dropped uint64) {
	s := &t.shown
	s.mu.Lock()
	defer s.mu.Unlock()
	// In this order: what was taken when first and seq were as they are read is in taken then, and seq never overtakes next.
	first := t.journal.shownFirst.Load()
	seq := max(first, s.seq.Load())
	taken, next := s.taken.Load(), t.journal.shownNext.Load()
	if taken < seq {
		s.most = max(s.most, seq-taken)
	}
	return next - min(seq, next), s.most
}

// Close ends the Tail. It is idempotent.
func (t *Tail) Close() {
	j := t.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	t.unpinLocked()
	j.readers.Add(-1)
	if i := slices.Index(j.waiting, t); i >= 0 {
		j.waiting = slices.Delete(j.waiting, i, i+1)
	}
}
