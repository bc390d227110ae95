package pace

import "time"

// Take returns how many packets may go at now, at most Batch, and takes them from the account. It is for callers that
// have their own clock and don't wait: 0 means to come back at the time that Next returns.
func (p Pace) Take(now time.Time) int {
	if p.limiter == nil {
		return p.batch
	}
	n := min(p.batch, int(p.limiter.TokensAt(now)))
	if n <= 0 || !p.limiter.AllowN(now, n) {
		return 0
	}
	return n
}

// Next returns when the next packets may go, if now Take returned 0.
func (p Pace) Next(now time.Time) time.Time {
	if p.limiter == nil {
		return now
	}
	return now.Add(time.Duration(float64(p.batch) / float64(p.limiter.Limit()) * float64(time.Second)))
}
