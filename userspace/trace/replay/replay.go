package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"time"

	"binrepd/userspace/in/packets"
	"binrepd/userspace/trace/capture"
	"binrepd/userspace/wire/bin2"
)

const (
	// batch is how many datagrams are passed to the sink at once.
	batch = 128
	// pollInterval is how often errors from the network are checked and progress is reported.
	pollInterval = 100 * time.Millisecond
	// answerTime is how long to wait for a refusal after the last datagram. It is longer than any round trip to a
	// standby.
	answerTime = 250 * time.Millisecond
	// patience is how long a datagram is tried again if this host has no buffer for it. The first try comes after
	// retryAfter.
	patience   = time.Second
	retryAfter = time.Millisecond
	// longest is the longest pause. Beyond it the times in the file make no sense.
	longest = 365 * 24 * time.Hour
)

// ErrNobodyAnswers says that the destination's host has reported that the port is closed.
var ErrNobodyAnswers = errors.New("nothing listens there: the host reports that the port is closed")

// Config of a replay. Next, Sink and To are required.
type Config struct {
	// Next reads the next datagram, in the order of time. It returns io.EOF after the last.
	Next func(*capture.Datagram) error
	// Want selects datagrams; nil selects all.
	Want func(*capture.Datagram) bool
	Sink packets.Sink
	To   packets.Endpoint
	// Speed divides the pauses; 0: no pauses.
	Speed float64
	// Shift moves the times in dialogs forward by the age of the first datagram.
	Shift bool
	// Refused reports whether the network has said that the port is closed; nil means that this is not known.
	Refused func() bool
	// Progress is called about every pollInterval; it may be nil.
	Progress func(Summary)
}

// Summary is the result of a replay so far.
type Summary struct {
	Sent, Bytes uint64
	Left        uint64 // not selected
	Shifted     uint64 // sent with other times
	Internal    uint64 // left out: what nodes of a cluster, or appliances, say about themselves
	Chunks      uint64 // dialogs out of syncs, sent as updates
	Unmarked    uint64 // sent without the mark of the appliance that passed them on
	Failed      uint64 // could not be sent from this host; the error of Run has the last reason
	// Recorded is the recorded time between the first and the last datagram sent. Took is the time that sending took.
	Recorded, Took time.Duration
	// Moved is how far times were moved forward.
	Moved time.Duration
}

// Run sends until the last datagram has been sent or ctx ends. It then returns the error of ctx. If some datagrams
// could not be sent, it returns an error after the last one.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	p := &player{cfg: cfg, begin: time.Now(), nodes: map[netip.Addr]*bin2.Decoder{}}
	p.told = p.begin
	err := p.run(ctx)
	if err == nil {
		err = p.listen(ctx)
	}
	if err == nil && p.summary.Failed > 0 {
		err = fmt.Errorf("send: %d of %d datagrams: %w", p.summary.Failed, p.summary.Failed+p.summary.Sent, p.failure)
	}
	p.summary.Took = time.Since(p.begin)
	return p.summary, err
}

type player struct {
	cfg     Config
	summary Summary
	begin   time.Time
	told    time.Time
	first   time.Time // recorded time of the first one sent
	shift   int64     // seconds
	waiting []packets.Message
	nodes   map[netip.Addr]*bin2.Decoder
	failure error // of the last datagram that failed
	// pause is the last pause before a retry. paused is the sum of such pauses since the last datagram was sent.
	pause, paused time.Duration
}

func (p *player) run(ctx context.Context) error {
	var d capture.Datagram
	for {
		switch err := p.cfg.Next(&d); {
		case errors.Is(err, io.EOF):
			return p.flush(ctx)
		case err != nil:
			return errors.Join(p.flush(ctx), err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.cfg.Want != nil && !p.cfg.Want(&d) {
			p.summary.Left++
			continue
		}
		if p.first.IsZero() {
			p.first = d.Time
			if p.cfg.Shift {
				p.summary.Moved = p.begin.Sub(d.Time).Truncate(time.Second)
				p.shift = int64(p.summary.Moved / time.Second)
			}
		}
		if err := p.until(ctx, d.Time); err != nil {
			return err
		}
		p.summary.Recorded = max(p.summary.Recorded, d.Time.Sub(p.first))
		for payload := range p.packets(&d) {
			if p.waiting = append(p.waiting, packets.Message{Payload: payload, To: p.cfg.To}); len(p.waiting) == batch {
				if err := p.flush(ctx); err != nil {
					return err
				}
			}
		}
	}
}

// until waits until it is time to send what was recorded at that time.
func (p *player) until(ctx context.Context, at time.Time) error {
	if p.cfg.Speed == 0 {
		return nil
	}
	after := min(float64(at.Sub(p.first))/p.cfg.Speed, float64(longest))
	for {
		wait := time.Until(p.begin.Add(time.Duration(math.Max(after, 0))))
		if wait <= 0 {
			return nil
		}
		if err := p.flush(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(wait, pollInterval)):
		}
	}
}

// flush sends the waiting datagrams.
func (p *player) flush(ctx context.Context) error {
	for len(p.waiting) > 0 {
		n, err := p.cfg.Sink.Send(p.waiting)
		for _, m := range p.waiting[:n] {
			p.summary.Sent++
			p.summary.Bytes += uint64(len(m.Payload))
		}
		p.waiting = p.waiting[n:]
		switch {
		case n > 0:
			p.pause, p.paused = 0, 0
		case p.again(ctx, err):
		default:
			if err == nil {
				err = io.ErrShortWrite
			}
			if p.summary.Failed++; p.summary.Sent == 0 {
				return fmt.Errorf("send: %w", err) // such as no route: the next one would fail, too
			}
			p.failure = err
			p.waiting = p.waiting[1:]
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	p.waiting = p.waiting[:0]
	if now := time.Now(); now.Sub(p.told) >= pollInterval {
		p.told = now
		if p.cfg.Progress != nil {
			p.summary.Took = now.Sub(p.begin)
			p.cfg.Progress(p.summary)
		}
		return p.refused()
	}
	return nil
}

// again waits before another try if err says that the queue of the interface is full. The queue empties while nothing
// is sent. Once patience is used up, later datagrams don't wait either, until one is sent.
func (p *player) again(ctx context.Context, err error) bool {
	if !errors.Is(err, packets.ErrFull) || p.paused >= patience {
		return false
	}
	p.pause = max(2*p.pause, retryAfter)
	p.paused += p.pause
	select {
	case <-ctx.Done():
	case <-time.After(p.pause):
	}
	return true
}

func (p *player) refused() error {
	if p.cfg.Refused != nil && p.cfg.Refused() {
		return ErrNobodyAnswers
	}
	return nil
}

// listen waits a moment for errors of the network about the last datagrams.
func (p *player) listen(ctx context.Context) error {
	if p.cfg.Refused == nil || p.summary.Sent == 0 {
		return nil
	}
	for end := time.Now().Add(answerTime); ; {
		if err := p.refused(); err != nil || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(answerTime / 10):
		}
	}
}
