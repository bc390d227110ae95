package egress

import (
	"errors"
	"syscall"
	"time"
)

// State of a destination.
type State uint8

const (
	Resolving   State = iota // its address is not known yet
	Up                       // nobody complained
	Refused                  // nobody listens there
	Unreachable              // there is no way to it
)

func (s State) String() string {
	switch s {
	case Resolving:
		return "resolving"
	case Up:
		return "up"
	case Refused:
		return "refused"
	case Unreachable:
		return "unreachable"
	}
	return "invalid"
}

// recovery is for how long packets must have been sent without a complaint until a destination counts as up again. A Linux
// host sends at most one ICMP error a second to one address (net.ipv4.icmp_ratelimit), so silence for less proves nothing.
const recovery = 3 * time.Second

// condition is the state of a destination and what it rests on.
type condition struct {
	state State
	since time.Time
	cause error     // of the last failure
	clean time.Time // when the first packet after the last failure was sent; zero: none yet
}

// enter changes the state and tells whether it is another one.
func (c *condition) enter(s State, now time.Time) bool {
	c.clean = time.Time{}
	if c.state == s {
		return false
	}
	c.state, c.since = s, now
	return true
}

// failed notes an error of sending and tells whether that changed the state. Errors that are about a single message, not about the
// destination, don't.
func (c *condition) failed(err error, now time.Time) bool {
	c.cause = err
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return c.enter(Refused, now)
	case aboutTheWay(err):
		return c.enter(Unreachable, now)
	}
	return false
}

// sent notes that packets were handed to the kernel and tells whether that changed the state.
func (c *condition) sent(now time.Time) bool {
	switch {
	case c.state == Up:
	case c.clean.IsZero():
		c.clean = now
	case now.Sub(c.clean) >= recovery:
		return c.enter(Up, now)
	}
	return false
}

// aboutTheWay tells whether err says that there is no way to the destination, at this moment, for any message. EPERM is what a local
// firewall answers.
func aboutTheWay(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN, syscall.EACCES, syscall.EPERM,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// passing tells whether the same message may well be taken a moment later.
func passing(err error) bool {
	return aboutTheWay(err) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.EAGAIN)
}
