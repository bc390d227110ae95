package packets

import "errors"

// Message is a packet to be sent.
type Message struct {
	Payload []byte
	To      Endpoint
}

// Sink sends packets in batches. It is safe for concurrent use.
type Sink interface {
	// Send takes messages in order and returns how many it took. With n < len(m) the error tells why m[n] was not taken; the
	// caller decides whether to go on behind it. The error is net.ErrClosed after the sink was closed, matches ErrRefused,
	// ErrNoRoute or ErrFull (see errors.Is) if it is about the destination or the way there, and is any other error if this
	// message will never be taken.
	Send(m []Message) (n int, err error)
}

// Results of a Sink about a destination. A concrete error wraps one of them and says in its own words what happened.
var (
	// ErrRefused: the destination is there and doesn't want packets: nothing listens on the port, or it closed the
	// connection.
	ErrRefused = errors.New("the destination refuses packets")
	// ErrNoRoute: no packet gets to the destination at the moment. The same message may be taken later.
	ErrNoRoute = errors.New("there is no way to the destination")
	// ErrFull: the sink's own queue or memory is full. The same message may be taken a moment later.
	ErrFull = errors.New("the queue is full")
)

// Reporter is a Sink that learns of some failures only after it took the message, as UDP does by ICMP.
type Reporter interface {
	Sink
	// Watch makes the sink call fn for each such failure until stop is called. The error matches ErrRefused or ErrNoRoute if
	// it is about the destination. fn must be quick and must not call the sink. Several goroutines may call it at once. After
	// stop has returned it is called no more; fn must not call stop.
	Watch(fn func(to Endpoint, err error)) (stop func())
	// Poll looks for failures now, and returns how many it reported. A Reporter that nothing is received from and nothing
	// is sent through doesn't notice by itself.
	Poll() (reported int)
}
