package pace

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// Pace limits packets a second. The zero value has no limit.
type Pace struct {
	limiter *rate.Limiter
	batch   int
}

// New returns a pace of so many packets a second; 0 means no limit. most is how many packets the caller can send at once.
func New(perSecond, most int) Pace {
	if perSecond <= 0 {
		return Pace{batch: most}
	}
	// A millisecond's worth at a time, and no more than five to catch up: 20 packets at 4,000 a second, which fit into a socket
	// buffer of the usual 208 KiB many times. Wait takes one more than a batch, as a sync that replaces dialogs sends two
	// packets for each.
	batch := min(max(perSecond/1000, 1), most)
	return Pace{limiter: rate.NewLimiter(rate.Limit(perSecond), max(perSecond/200, batch+1)), batch: batch}
}

// Batch returns how many packets to send at once.
func (p Pace) Batch() int { return p.batch }

// Wait waits until n packets may go, at most Batch and one. Its error is that ctx has ended.
func (p Pace) Wait(ctx context.Context, n int) error {
	if p.limiter == nil || n == 0 {
		return ctx.Err()
	}
	delay := p.limiter.ReserveN(time.Now(), n).Delay()
	if delay <= 0 {
		return ctx.Err()
	}
	wait := time.NewTimer(delay)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
