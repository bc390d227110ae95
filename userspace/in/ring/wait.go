package ring

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	// patience is how long a record that is reserved and not submitted is waited for awake. Its processor is within the program, which
	// takes a microsecond, unless it was interrupted: by a hypervisor, or to wake the consumer. The interrupt that the
	// program asks for to do that often comes when the program is within the next record, and lasts tens of microseconds on a virtual machine.
	patience = 100 * time.Microsecond
	// nap is how long to wait asleep then, before the next look.
	nap = 50 * time.Microsecond
	// grace is how long a wake-up may take before the backstop counts as late.
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
	// From here on whoever puts a record in wakes us. See package bpf for the order of steps.
	s.mapping.flag.Swap(1)
	if s.ring.look() || s.stopped.Load() {
		s.mapping.flag.Swap(0)
		return nil
	}
	add(&s.stats.sleeps, 1)
	woken, err := s.poller.wait(s.config.Backstop)
	if err == nil && !woken && s.overslept() {
		// The program may be between its record and the look at the flag. Then it wakes us now.
		if woken, err = s.poller.wait(grace); err == nil && !woken && s.overslept() {
			add(&s.stats.late, 1)
		}
	}
	s.mapping.flag.Swap(0)
	return err
}

// overslept reports whether there is a record and nobody has taken it upon himself to wake us.
func (s *Source) overslept() bool { return s.ring.look() && s.mapping.flag.Load() == 1 }

// spin looks for a record that is ready, for a while.
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

// stuck waits for a record that is reserved and not submitted. Nobody wakes for that.
type stuck struct {
	patience time.Duration
	naps     int
}

// wait returns when the next record of r is submitted, or after a nap.
//
// The nap is the thread's. One of Go's scheduler would be of a millisecond, not of 50 microseconds: the consumer's goroutine has
// its thread to itself, so that another one waits for its timer in its place, in whole milliseconds, and hands over to it.
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
	_ = unix.Nanosleep(&length, nil) // who is woken early looks early
}
