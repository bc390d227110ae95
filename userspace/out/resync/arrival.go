package resync

import (
	"context"
	"errors"
	"time"

	"binrepd/userspace/wire/arrival"
)

const (
	// askTime is how long one answer is waited for, and asks how often a destination is asked that has never answered: an OpenSIPS never
	// does.
	askTime, asks = 150 * time.Millisecond, 3
	// lostAsks is how many questions in a row may stay without an answer from a destination that has answered before.
	lostAsks = 10
	// askPause is the time between an answer and the next question, while packets are still being handled there.
	askPause = 20 * time.Millisecond
	// restTime is for how long nothing more must arrive before what lacks counts as missing.
	restTime = time.Second
	// settleTime bounds the wait for the rest of a pass, whatever arrives.
	settleTime = 30 * time.Second
	// reachTime is longer than the kernel takes for the lookup of a neighbour to fail.
	reachTime = 5 * time.Second
)

// Peer asks the destination of a session, which may be another binrepd, what has arrived there from here.
type Peer interface {
	// Arrived asks once and waits for the answer for that long. ok is false without one.
	Arrived(ctx context.Context, wait time.Duration) (count arrival.Count, ok bool)
}

// Arrival is what the destination says about what was sent.
type Arrival uint8

// Values of Arrival.
const (
	NotConfirmed Arrival = iota // it doesn't answer: an OpenSIPS, or a binrepd that can't reach this host
	All                         // everything arrived
	Missing                     // packets are missing
	Unclear                     // other packets from here arrived there at the same time
)

// String returns the value as it stands in JSON.
func (a Arrival) String() string {
	switch a {
	case NotConfirmed:
		return "not confirmed"
	case All:
		return "all"
	case Missing:
		return "missing"
	case Unclear:
		return "unclear"
	}
	return "invalid"
}

// approach finds out, before anything is sent, whether there is a way to the destination and whether it is another binrepd.
func (s *Session) approach(ctx context.Context) error {
	if s.cfg.DryRun {
		return nil
	}
	if s.cfg.Reach != nil {
		reaching, cancel := context.WithTimeout(ctx, reachTime)
		defer cancel()
		switch err := s.cfg.Reach(reaching); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return errors.Join(ErrUnreachable, err)
		}
	}
	for range asks {
		if s.ask(ctx) {
			if s.peer = true; s.cfg.AllEndsToPeer {
				s.cfg.EndsFrom = 0
			}
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		select { // a closed port answers with an error
		case err := <-s.failure:
			if err := final(err); err != nil {
				return err
			}
		default:
		}
	}
	return nil
}

// ask asks once and keeps the answer.
func (s *Session) ask(ctx context.Context) (ok bool) {
	if s.cfg.Peer == nil {
		return false
	}
	count, ok := s.cfg.Peer.Arrived(ctx, askTime)
	if ok {
		s.arrived = count
	}
	return ok
}

// settleArrival is called at the end of a pass. It asks until all of the pass has arrived, or nothing more arrives.
func (s *Session) settleArrival(ctx context.Context) error {
	if !s.peer {
		return nil
	}
	s.line.put()
	if err := s.line.settle(ctx); err != nil {
		return err
	}
	before, sent := s.arrived, s.sent
	s.sent = arrival.Count{}
	s.summary.Arrival, s.summary.LastPass, s.summary.Missing = NotConfirmed, sent.Events, 0
	begin := time.Now()
	silent, rest := 0, begin
	for silent < lostAsks && time.Since(rest) < restTime && time.Since(begin) < settleTime {
		last := s.arrived
		if !s.ask(ctx) {
			if err := ctx.Err(); err != nil {
				return err
			}
			silent++
			continue
		}
		if silent = 0; s.arrived != last {
			rest = time.Now()
		}
		got := s.arrived.Since(before)
		switch {
		case got == sent:
			s.summary.Arrival, s.summary.Missing = All, 0
			return nil
		case got.Events < sent.Events:
			s.summary.Arrival, s.summary.Missing = Missing, sent.Events-got.Events
		case got.Events > sent.Events:
			s.summary.Arrival, s.summary.Missing = Unclear, 0
			return nil
		default:
			s.summary.Arrival, s.summary.Missing = Unclear, 0
		}
		select {
		case <-time.After(askPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if silent == lostAsks {
		s.summary.Arrival, s.summary.Missing = NotConfirmed, 0
	}
	return nil
}
