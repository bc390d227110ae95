package ring

import (
	"time"

	"binrepd/bpf"
)

// shortest is the shortest nap. A shorter one costs more than it gathers.
const shortest = 50 * time.Microsecond

// cycle is what a consumer reads between two naps: everything that was there at the end of the first.
type cycle struct {
	naps    bool      // whether there are naps at the moment
	end     uint64    // the producer's position then
	woken   time.Time // the time then
	decided time.Time // when the moderator was last asked
	records uint64    // how many there had been in all by then
}

// moderate naps if everything is read that was there at the end of the last nap, and if enough more is to be expected.
// It reports whether naps take the place of wake-ups at the moment.
//
// What has come in the meantime stays in the ring during the nap. It doesn't wait longer than the nap should last,
// because this is counted from the end of the last nap. So a consumer that needs a part of that time to work naps for
// the rest.
func (s *Source) moderate() (naps bool, err error) {
	c := &s.cycle
	if s.moderator.bound <= 0 || s.stopped.Load() {
		return false, nil
	}
	if s.ring.next < c.end {
		return c.naps, nil
	}
	now, records := time.Now(), s.stats.records.Load()
	length := s.moderator.next(records-c.records, now.Sub(c.decided))
	c.decided, c.records = now, records
	if c.naps = length > 0; !c.naps {
		c.woken = now
		return false, nil
	}
	if left := length - now.Sub(c.woken); left >= shortest {
		if err := s.nap(left); err != nil {
			return true, err
		}
		now = time.Now()
	}
	s.ring.look()
	c.end, c.woken = s.ring.end, now
	return true, nil
}

// nap sleeps for that long, and less if the ring fills up or the source is stopped.
func (s *Source) nap(length time.Duration) error {
	if !s.back.relieve() {
		return nil // as before a sleep
	}
	s.mapping.flag.Swap(napFlag(s.ring.next + s.room))
	defer s.mapping.flag.Swap(bpf.Awake)
	if s.ring.look(); s.ring.end-s.ring.next >= s.room || s.stopped.Load() {
		return nil
	}
	add(&s.stats.naps, 1)
	return s.poller.nap(length)
}

// napFlag is the sleep flag of a consumer that is to be woken when the producer's position has reached that one (struct
// sleeper in package bpf).
func napFlag(position uint64) uint32 {
	return max(uint32(position/bpf.WakeSlot), bpf.Asleep+1)
}

// napRoom returns how many bytes of records end a nap in a ring of that size: an eighth of it. When the nap ends, as
// much room must be left as the smallest ring has, like before a sleep (bpf.ValidateRingSize).
func napRoom(size, least uint64) uint64 { return min(size/8, size-least) }

// mayNap reports whether consumers of so many rings leave a place to the rest of the process while all of them nap, because
// a consumer keeps its place then (poller.nap).
func mayNap(places, rings int) bool { return places > rings }
