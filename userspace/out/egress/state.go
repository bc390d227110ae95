package egress

import (
	"errors"
	"time"

	"binrepd/userspace/in/packets"
)

// State of a destination.
type State uint8

const (
	Resolving   State = iota // its address is not known yet
	Up                       // packets are sent, and nothing says that they don't arrive
	Refused                  // it doesn't want packets (packets.ErrRefused)
	Unreachable              // there is no way to it (packets.ErrNoRoute)
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

// recovery is for how long packets must have been sent without a failure until a destination counts as up again. A sink may report
// failures late and only some of them. A Linux host, for instance, sends at most one ICMP error a second to one address
// (net.ipv4.icmp_ratelimit). So silence for less proves nothing.
const recovery = 3 * time.Second

// condition is the state of a destination and the reasons for it.
type condition struct {
	state State
	since time.Time
	cause error     // the last failure
	clean time.Time // when the first packet after the last failure was sent; zero: none yet
	// held says that packets were lost since it was up last, at the time left. No more are sent until it is up again.
	held bool
	left time.Time
	gap  gap
}

// gap is what a destination may lack until it is synced.
type gap struct {
	count   uint64        // of gaps so far
	synced  uint64        // so many of them have been closed by a sync
	away    time.Duration // for how long it was away last
	moved   bool          // its name led to another address
	dropped uint64        // so many of the changes that were dropped have been made good by a sync
	// so many of the changes of generation 2, which were held back before it was known to be a binrepd, have been, too
	withheld uint64
}

// enter sets the state and tells whether that changed it.
func (c *condition) enter(s State, now time.Time) bool {
	c.clean = time.Time{}
	if c.state == s {
		return false
	}
	switch {
	case c.state == Up:
		c.left = now
	case s == Up:
		if c.held {
			c.gap.away = now.Sub(c.left)
			c.gap.count++
		}
		c.held = false
	}
	c.state, c.since = s, now
	return true
}

// failed notes an error of sending and tells whether that changed the state. An error that is about a single message, and not about the
// destination, doesn't.
func (c *condition) failed(err error, now time.Time) bool {
	c.cause = err
	switch {
	case errors.Is(err, packets.ErrRefused):
		changed := c.enter(Refused, now)
		c.held = true
		return changed
	case errors.Is(err, packets.ErrNoRoute):
		return c.enter(Unreachable, now)
	}
	return false
}

// lost notes that the way to the destination ended behind the sink, which had taken the packets.
func (c *condition) lost() { c.held = true }

// sent notes that the sink took packets, and tells whether that changed the state.
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

// passing tells whether the sink may take the same message a moment later.
func passing(err error) bool {
	return errors.Is(err, packets.ErrRefused) || errors.Is(err, packets.ErrNoRoute) || errors.Is(err, packets.ErrFull)
}
