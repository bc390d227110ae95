package ring

import (
	"time"

	"golang.org/x/sys/unix"

	"binrepd/bpf"
)

const (
	// patience is how long Receive waits awake for a record that is reserved but not submitted. The processor that
	// reserved it is inside the program, which takes a microsecond, unless it was interrupted: by a hypervisor, or to
	// wake the consumer. That interrupt often comes while the program is at the next record. It lasts tens of
	// microseconds on a virtual machine.
	patience = 100 * time.Microsecond
	// nap is how long to sleep after that, before the next look.
	nap = 50 * time.Microsecond
	// grace is how long a wake-up may take before it counts as late.
	grace = 100 * time.Millisecond
)

// wait returns when there may be something to do: a record, or Stop.
func (s *Source) wait() error {
	if s.spin() {
		return nil
	}
	if s.ring.busy() {
		s.stuck.wait(&s.ring)
		return nil
	}
	if !s.back.relieve() { // there must be room for a wake-up
		return nil
	}
	// From here on the processor that submits a record wakes us. See package bpf for the order of steps.
	s.mapping.flag.Swap(bpf.Asleep)
	if s.ring.look() || s.stopped.Load() {
		s.mapping.flag.Swap(bpf.Awake)
		return nil
	}
	add(&s.stats.sleeps, 1)
	woken, err := s.poller.wait(s.config.Backstop)
	if err == nil && !woken && s.overslept() {
		// The program may be between the record and its check of the flag. Then it wakes us soon.
		if woken, err = s.poller.wait(grace); err == nil && !woken && s.overslept() {
			add(&s.stats.late, 1)
		}
	}
	s.mapping.flag.Swap(bpf.Awake)
	return err
}

// overslept reports whether there is a record although the sleep flag is still set, so that no wake-up is on its way.
func (s *Source) overslept() bool { return s.ring.look() && s.mapping.flag.Load() == bpf.Asleep }

// spin looks for a ready record for a while.
func (s *Source) spin() bool {
	if s.config.Spin < 0 {
		return false
	}
	start := time.Now()
	for {
		for range 32 {
			if s.ring.look() && !s.ring.busy() {
				return true
			}
		}
		if s.stopped.Load() || time.Since(start) > s.config.Spin {
			return false
		}
	}
}

// stuck waits for a record that is reserved but not submitted. Its submission causes no wake-up.
type stuck struct {
	patience time.Duration
	naps     int
}

// wait returns when the next record of r is submitted, or after a nap.
//
// The thread sleeps, not the goroutine. A sleep in Go's scheduler would take a millisecond instead of 50 microseconds:
// the consumer's goroutine is locked to its thread, so another thread would wait for the timer, in whole milliseconds,
// and then hand over.
func (w *stuck) wait(r *ring) {
	for start := time.Now(); time.Since(start) < w.patience; {
		for range 32 {
			if !r.busy() {
				return
			}
		}
	}
	w.naps++
	length := unix.NsecToTimespec(nap.Nanoseconds())
	_ = unix.Nanosleep(&length, nil) // after an early wake-up the caller just looks early
}
