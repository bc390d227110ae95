package opensipstest

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/time/rate"
)

// Serve handles what arrives at conn until ctx ends, at most so many packets a second if perSecond is above 0: what comes faster waits in the
// kernel's buffer, and what doesn't fit there is lost. It closes conn.
func (r *Receiver) Serve(ctx context.Context, conn net.PacketConn, perSecond int) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	pace := rate.NewLimiter(limit, max(1, perSecond/200)) // 5 ms to catch up after a late wake-up
	buf := make([]byte, 65535)
	for {
		n, _, err := conn.ReadFrom(buf)
		switch {
		case ctx.Err() != nil:
			conn.Close()
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			continue
		}
		r.Handle(buf[:n], time.Now().Unix())
		if err := pace.Wait(ctx); err != nil {
			conn.Close()
			return nil
		}
	}
}
