package engine

import (
	"cmp"
	"slices"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
)

// How the register of sources makes room. Only the background goroutine of the engine does that, and workers neither wait nor allocate for
// it:
//
//  1. It strikes the sources that were silent longest from the register, and raises the generation.
//  2. A worker compares the generation at the begin of each batch, and empties its cache of numbers.
//  3. When each worker has passed that point, none has one of the numbers any more. Then the dialogs that name them get the number of
//     "other", and the counts are added to those of "other".
//  4. After a pause, in which readers finish with what they copied, the numbers can be used again.
const (
	// lowRoom is when the register begins to make room, and enoughRoom how much it makes.
	lowRoom, enoughRoom = MaxOrigins / 16, MaxOrigins / 4

	// silentFor is how long a source must have been silent to be forgotten, and how long a file that is loaded may use a number.
	// It bounds the scans of the table that invented sources can cause.
	silentFor = time.Minute
	// numberRest is the pause before a number is used again.
	numberRest = 10 * time.Second

	// boundaryPause is between two looks at whether the workers have passed the end of a batch.
	boundaryPause = 10 * time.Millisecond
)

// CountsFrom is how many events of a source must have changed the table for the source to count: its silence is news then. With fewer it
// may be a stray datagram. Ten are about three calls.
const CountsFrom = 10

// roomRules are the times above; tests choose others.
type roomRules struct{ silentFor, rest time.Duration }

// roomUntil makes room in the register when it is scarce.
func (e *Engine) roomUntil(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-e.origins.scarce:
		}
		if !e.makeRoom(done) {
			return
		}
		// Not again at once: nothing may have been silent for long enough.
		if !wait(done, max(e.room.silentFor/4, boundaryPause)) {
			return
		}
		e.origins.mu.RLock()
		scarce := e.origins.roomLocked() < lowRoom
		e.origins.mu.RUnlock()
		if scarce {
			e.origins.callForRoom()
		}
	}
}

// wait reports whether the time passed before done.
func wait(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return false
	case <-t.C:
		return true
	}
}

// makeRoom forgets sources, and returns when their numbers can be used again. It returns false if done was closed first.
func (e *Engine) makeRoom(done <-chan struct{}) bool {
	o := e.origins
	e.mu.Lock()
	workers := e.workers
	e.mu.Unlock()
	now := e.cfg.Now().Add(-e.room.silentFor).UnixNano()
	struck := o.strike(e.silentLongest(workers, now), now)
	if len(struck) == 0 {
		return true
	}
	if !passBoundary(workers, done) {
		return false
	}
	e.disown(struck)
	o.clear(struck, workers)
	if !wait(done, e.room.rest) {
		return false
	}
	o.release(struck)
	e.cfg.Log.Info("the register of sources was full: forgot those silent longest", "forgotten", len(struck))
	return true
}

// silentLongest chooses the sources to forget: of those that have been silent since the time until, in ns since the epoch, first those that
// don't count yet, and the longest silent of them first.
func (e *Engine) silentLongest(workers []*worker, until int64) []uint16 {
	o := e.origins
	o.mu.RLock()
	want := enoughRoom - o.roomLocked()
	o.mu.RUnlock()
	type candidate struct {
		n      uint16
		counts bool
		last   int64
	}
	var list []candidate
	for n, sender := range o.senders() {
		if n == OtherOrigin || sender == (packets.Sender{}) {
			continue
		}
		c := candidate{n: uint16(n), last: o.given[n].Load()}
		sum := sumOf(workers, n)
		c.counts, c.last = sum.applied >= CountsFrom, max(c.last, sum.last)
		if c.last <= until {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b candidate) int {
		if a.counts != b.counts {
			if a.counts {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.last, b.last)
	})
	var chosen []uint16
	for i := range list[:max(0, min(want, len(list)))] {
		chosen = append(chosen, list[i].n)
	}
	return chosen
}

// strike takes sources out of the register, so that nobody gets their numbers any more. Their numbers still lead to them. A number that
// was asked for since the time until stays.
func (o *origins) strike(numbers []uint16, until int64) map[uint16]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.looking.Lock()
	defer o.looking.Unlock()
	struck := make(map[uint16]bool, len(numbers))
	list := o.senders()
	for _, n := range numbers {
		if o.given[n].Load() > until {
			continue
		}
		delete(o.known, list[n])
		struck[n], o.struck[n] = true, true
	}
	o.generation.Add(1)
	return struck
}

// passBoundary waits until each worker has begun a batch, or is between two, after the call. It returns false if done was closed first.
func passBoundary(workers []*worker, done <-chan struct{}) bool {
	for _, w := range workers {
		for begun := w.steps.n.Load(); begun%2 == 1 && w.steps.n.Load() == begun; {
			if !wait(done, boundaryPause) {
				return false
			}
		}
	}
	return true
}

// disown gives all dialogs of the struck sources the number of "other".
func (e *Engine) disown(struck map[uint16]bool) {
	var cur dialog.Cursor
	for e.cfg.Table.Disown(&cur, func(n uint16) bool { return struck[n] }, OtherOrigin) {
	}
}

// clear moves the counts of struck numbers to those of forgotten sources.
func (o *origins) clear(struck map[uint16]bool, workers []*worker) {
	o.looking.Lock() // readers see the counts in one place
	defer o.looking.Unlock()
	for n := range struck {
		sum, h := sumOf(workers, int(n)), &o.hidden[n]
		o.gone.add(&sum)
		h.on, h.senderSum = false, senderSum{}
		for _, w := range workers {
			w.senders.counts[n].Store(nil)
			w.engine.notices.sources[n].told.Store(0)
		}
		o.given[n].Store(0)
	}
}

// release lets numbers be used again. Senders that found no room may get one now, so the caches of the workers are emptied once more.
func (o *origins) release(struck map[uint16]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.looking.Lock()
	defer o.looking.Unlock()
	list := slices.Clone(o.senders())
	for n := range struck {
		list[n], o.struck[n] = packets.Sender{}, false
		o.free = append(o.free, n)
	}
	o.list.Store(&list)
	o.generation.Add(1)
}

// senderSum is what all workers counted of one source.
type senderSum struct {
	events, rejected, applied, created, ended uint64
	last                                      int64
	skew                                      int64
}

// add adds what is a sum, and not a time.
func (s *senderSum) add(t *senderSum) {
	s.events += t.events
	s.rejected += t.rejected
	s.applied += t.applied
	s.created += t.created
	s.ended += t.ended
}

// subtract is the opposite of add.
func (s *senderSum) subtract(t *senderSum) {
	s.events -= t.events
	s.rejected -= t.rejected
	s.applied -= t.applied
	s.created -= t.created
	s.ended -= t.ended
}

func sumOf(workers []*worker, n int) senderSum {
	sum := senderSum{skew: noSkew}
	for _, w := range workers {
		if c := w.senders.counts[n].Load(); c != nil {
			sum.events += c.events.Load()
			sum.rejected += c.rejected.Load()
			sum.applied += c.applied.Load()
			sum.created += c.created.Load()
			sum.ended += c.ended.Load()
			sum.last = max(sum.last, c.last.Load())
			sum.skew = max(sum.skew, c.skew.estimate())
		}
	}
	return sum
}
