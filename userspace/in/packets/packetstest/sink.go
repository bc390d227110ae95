package packetstest

import (
	"context"
	"slices"
	"sync"

	"binrepd/userspace/in/packets"
)

// Sink is a packets.Reporter that keeps copies of what it is given. It reports what a test tells it to. Like every Sink it is safe for
// concurrent use.
type Sink struct {
	packets.Watchers
	mu      sync.Mutex
	changed chan struct{} // closed and made anew at each change of what is below
	sent    []packets.Message
	calls   int
	refuse  func(packets.Message) error
	held    bool
	waiting int // calls of Send that wait because of held
}

// NewSink returns a sink that takes everything.
func NewSink() *Sink {
	return &Sink{changed: make(chan struct{})}
}

// Send implements packets.Sink.
func (s *Sink) Send(m []packets.Message) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.waitLocked()
	defer s.notifyLocked()
	for _, message := range m {
		if s.refuse != nil {
			if err := s.refuse(message); err != nil {
				return n, err
			}
		}
		message.Payload = slices.Clone(message.Payload)
		s.sent = append(s.sent, message)
		n++
	}
	return n, nil
}

// Poll implements packets.Reporter. Report, which Watchers has, reports at once, so that there is never anything to look for.
func (s *Sink) Poll() (reported int) { return 0 }

// waitLocked waits until the sink is not held.
func (s *Sink) waitLocked() {
	if !s.held {
		return
	}
	s.waiting++
	s.notifyLocked()
	for s.held {
		changed := s.changed
		s.mu.Unlock()
		<-changed
		s.mu.Lock()
	}
	s.waiting--
}

// Refuse makes the sink ask f about each message from now on: with an error from f, Send stops before that
// message and returns the error. f is called by one goroutine at a time and must not call the sink. With nil the
// sink takes everything again.
func (s *Sink) Refuse(f func(packets.Message) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = f
}

// Hold makes every Send wait, as a full socket does, until resume is called. resume may be called more than once.
func (s *Sink) Hold() (resume func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held = false
		s.notifyLocked()
	}
}

// WaitHeld waits until at least one Send waits because of Hold.
func (s *Sink) WaitHeld(ctx context.Context) error {
	return s.wait(ctx, func() bool { return s.waiting > 0 })
}

// WaitSent waits until at least n messages have been sent.
func (s *Sink) WaitSent(ctx context.Context, n int) error {
	return s.wait(ctx, func() bool { return len(s.sent) >= n })
}

func (s *Sink) wait(ctx context.Context, doneLocked func() bool) error {
	for {
		s.mu.Lock()
		done, changed := doneLocked(), s.changed
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Sent returns the messages sent so far, in order. They stay valid.
func (s *Sink) Sent() []packets.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// Calls returns how often Send has been called.
func (s *Sink) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Forget makes the sink forget what was sent, and how often.
func (s *Sink) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent, s.calls = nil, 0
}

func (s *Sink) notifyLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}
