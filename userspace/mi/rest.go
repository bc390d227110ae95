package mi

import (
	"context"
	"time"
)

// rest is the time that a client leaves a proxy between two requests.
type rest struct {
	times float64 // how many times the length of the last request; 0: none
	until time.Time
}

// Spare makes the client wait between two requests, so that the proxy works for it at most for that share of the time,
// above 0 to 1. A proxy serves other clients meanwhile, and a slow one is asked more slowly.
func (c *Client) Spare(share float64) { c.rest.times = max(1/share-1, 0) }

// before waits until the proxy has rested.
func (r *rest) before(ctx context.Context) error {
	left := time.Until(r.until)
	if left <= 0 {
		return nil
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// after notes that a request that began at a time is over.
func (r *rest) after(begin time.Time) {
	now := time.Now()
	r.until = now.Add(time.Duration(r.times * float64(now.Sub(begin))))
}
