package ring

import "time"

const (
	// aim is how many records a nap is to gather. A wake-up costs some microseconds; shared by so many records it
	// doesn't count any more.
	aim = 256
	// least is how many records the longest nap must be able to gather. For fewer, a wake-up by the first one is
	// cheaper.
	least = 4
	// recall is the time over which the rate is averaged. Senders send in bursts, some of them a millisecond or more
	// apart.
	recall = 8 * time.Millisecond
)

// moderator decides how long a consumer that has read everything naps. It is the consumer's side of interrupt
// moderation, as network cards know it. It follows the rate: while records come fast, a short nap gathers enough of
// them; when they come slowly, a nap lasts as long as the bound; when they hardly come at all, the consumer sleeps
// until a record wakes it.
type moderator struct {
	bound time.Duration // the longest nap; 0: never nap
	rate  float64       // records a nanosecond, averaged
}

// next learns that records came in the time since the last call. It returns the length of a nap, or 0 if the next
// record is to wake the consumer.
func (m *moderator) next(records uint64, since time.Duration) time.Duration {
	if m.bound <= 0 {
		return 0
	}
	if since > 0 {
		// The weight of what is new is its share of the time: none of a moment, nearly all of a long sleep.
		weight := float64(since) / float64(since+recall)
		m.rate += weight * (float64(records)/float64(since) - m.rate)
	}
	if m.rate*float64(m.bound) < least {
		return 0
	}
	return min(m.bound, time.Duration(aim/m.rate))
}
