package egress

import (
	"sync"
	"testing"

	"binrepd/userspace/changes"
)

// TestReadIsNotDropped: the reader is stopped when it has just given up the journal's lock, the segment that it reads is overwritten, and
// somebody looks.
func TestReadIsNotDropped(t *testing.T) {
	j := newJournal(minSegments, 512)
	tail := j.tail()
	defer tail.Close()
	for n := range uint64(2) {
		j.put(number(n, 40))
	}
	j.mu.Lock()
	_, taken := tail.takeLocked()
	j.mu.Unlock() // here it is stopped
	if taken != 2 {
		t.Fatalf("%d taken", taken)
	}
	written := uint64(2)
	for j.shownFirst.Load() < taken {
		j.put(number(written, 400))
		written++
	}
	overwritten := j.shownFirst.Load() - taken
	if queued, dropped := tail.standing(); dropped != overwritten || queued != written-taken-overwritten {
		t.Errorf("%d queued, %d dropped; want %d, %d", queued, dropped, written-taken-overwritten, overwritten)
	}
}

// TestLookWhileItIsShown looks between the two numbers that a reader shows: what is told never falls, nor is it too high.
func TestLookWhileItIsShown(t *testing.T) {
	j := newJournal(minSegments, 512)
	tail := j.tail()
	defer tail.Close()
	for n := range uint64(20) {
		j.put(number(n, 400))
	}
	_, dropped := tail.standing()
	if dropped == 0 {
		t.Fatal("nothing was dropped")
	}
	tail.shown.taken.Add(dropped + 5)
	if _, got := tail.standing(); got != dropped {
		t.Errorf("%d dropped, before %d", got, dropped)
	}
}

// TestGivenBackIsNotDropped: what Read gives back is not dropped yet, and is when it was overwritten.
func TestGivenBackIsNotDropped(t *testing.T) {
	j := newJournal(minSegments, 512)
	tail := j.tail()
	defer tail.Close()
	for n := range uint64(4) {
		j.put(number(n, 40))
	}
	if _, err := tail.Read(1, func(*changes.Change) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if queued, dropped := tail.standing(); queued != 3 || dropped != 0 {
		t.Errorf("%d queued, %d dropped", queued, dropped)
	}
	for n := range uint64(100) {
		j.put(number(4+n, 40))
	}
	lost, err := tail.Read(tail.Head(), func(*changes.Change) error { return nil })
	if queued, dropped := tail.standing(); err != nil || lost == 0 || dropped != lost || queued != 0 {
		t.Errorf("%d lost, %v; %d queued, %d dropped", lost, err, queued, dropped)
	}
}

// TestLookersNeverOvercount looks all the while one forwards and one reads: as what is told never falls, one look that told too much would
// be seen at the end.
func TestLookersNeverOvercount(t *testing.T) {
	j := newJournal(minSegments, 512)
	tail := j.tail()
	defer tail.Close()
	const total = 20000
	done := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				tail.standing()
			}
		}
	})
	var forwarding sync.WaitGroup
	forwarding.Go(func() {
		for n := range uint64(total) {
			j.put(number(n, 100))
		}
	})
	var lost, read uint64
	for lost+read < total {
		l, err := tail.Read(total, func(*changes.Change) error { read++; return nil })
		if err != nil {
			t.Error(err)
			break
		}
		lost += l
	}
	forwarding.Wait()
	close(done)
	looking.Wait()
	if queued, dropped := tail.standing(); queued != 0 || dropped != lost {
		t.Errorf("%d queued, %d dropped; want none, %d", queued, dropped, lost)
	}
}
