package engine

import (
	"net/netip"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
)

// Status is a consistent-enough picture of a running engine: each worker's part is exact as of its last batch.
type Status struct {
	Started time.Time
	Intakes []IntakeStatus
	Sources []SourceStatus
	// Nodes are those that send dialogs of generation 2.
	Nodes []NodeStatus
	// Capabilities counts packets of other capabilities by name.
	Capabilities map[string]uint64
	Batches      Sizes
	Latency      Histogram // kernel receive to applied, of what was received since Run
	Expired      dialog.Expired
	Ended        uint64 // by hand (End)
	// ClockAhead is how far the wall clock is ahead of the one that expiry goes by.
	ClockAhead time.Duration
	Table      dialog.Counts
}

// IntakeStatus is the account of one intake.
type IntakeStatus struct {
	packets.Intake
	Account
}

// SourceStatus is what one source sent. The zero Sender stands for all sources that found no place in the register.
type SourceStatus struct {
	Sender   packets.Sender
	Events   uint64 // good packets, of any capability
	Rejected uint64 // refused ones
	// Applied is how many of Events changed the table. Created and Ended are parts of it: creations and deletions.
	Applied, Created, Ended uint64
	// Last is the receive time of the last good packet. It is zero for a source that is known only from a file.
	Last time.Time
	// Skew is how far the source's clock is ahead of ours, by its recent creations, in whole seconds; nil if there was none.
	Skew *time.Duration
}

// Status takes the picture. It takes no lock that a worker takes, and looks at no dialog. So it never slows ingest down, however often it
// is called, and however long the system lets its goroutine wait in the middle.
func (e *Engine) Status() Status {
	s := Status{
		Started:      e.started,
		Intakes:      make([]IntakeStatus, len(e.cfg.Intakes)),
		Capabilities: map[string]uint64{},
		Ended:        e.ended.Load(),
	}
	for i, in := range e.cfg.Intakes {
		s.Intakes[i].Intake = in
	}
	e.mu.Lock()
	workers := e.workers
	s.Expired = e.expired
	e.mu.Unlock()
	for _, w := range workers {
		w.read(func(t *tally) {
			for i := range s.Intakes {
				s.Intakes[i].Add(&t.intakes[i])
			}
			s.Batches.Add(&t.batches)
			s.Latency.Add(&t.latency)
			t.capabilities.addTo(s.Capabilities)
		})
	}
	s.Sources = e.sources(workers)
	s.Nodes = nodesOf(workers)
	s.ClockAhead = e.clock.aheadOf()
	// The table last: it then holds at least what the account tells.
	s.Table = e.cfg.Table.Counts()
	return s
}

// Account returns the account of one intake, by its place in Config.Intakes. It looks at nothing else, so it may be asked for
// often.
func (e *Engine) Account(intake int) (a Account) {
	e.mu.Lock()
	workers := e.workers
	e.mu.Unlock()
	for _, w := range workers {
		w.read(func(t *tally) { a.Add(&t.intakes[intake]) })
	}
	return a
}

// Total returns the account of all intakes together.
func (s *Status) Total() (sum Account) {
	for i := range s.Intakes {
		sum.Add(&s.Intakes[i].Account)
	}
	return sum
}

// Nodes returns those that send dialogs of generation 2.
func (e *Engine) Nodes() []NodeStatus {
	e.mu.Lock()
	workers := e.workers
	e.mu.Unlock()
	return nodesOf(workers)
}

// Origin returns the address of the source with that number in the register; the zero value for OtherOrigin, and for a node.
func (e *Engine) Origin(number uint16) netip.AddrPort {
	list := e.origins.senders()
	if number == OtherOrigin || int(number) >= len(list) {
		return netip.AddrPort{}
	}
	return list[number].AddrPort()
}

// Sender returns the source with that number in the register; the zero value for OtherOrigin.
func (e *Engine) Sender(number uint16) packets.Sender {
	list := e.origins.senders()
	if int(number) >= len(list) {
		return packets.Sender{}
	}
	return list[number]
}

// OriginNumber returns the number of a source. It gives it one if there is room, and returns OtherOrigin otherwise. It is for dialogs from
// a file, which an earlier process received. The number may be used for a minute.
func (e *Engine) OriginNumber(from packets.Sender) uint16 {
	return e.origins.number(from, e.cfg.Now().UnixNano(), true)
}

// Forget takes the sources that match out of the list of sources until they send a good packet again, and returns how many these are.
// Their dialogs stay theirs. What they sent counts for "other" from now on.
func (e *Engine) Forget(match func(packets.Sender) bool) (n int) {
	e.mu.Lock()
	workers := e.workers
	e.mu.Unlock()
	o := e.origins
	o.looking.Lock()
	defer o.looking.Unlock()
	for number, sender := range o.senders() {
		if number == OtherOrigin || sender == (packets.Sender{}) || o.struck[number] || !match(sender) {
			continue
		}
		if sum, h := sumOf(workers, number), &o.hidden[number]; !h.on || h.events != sum.events {
			h.on, h.senderSum = true, sum
			n++
		}
	}
	return n
}

// Sources returns what Status has about sources.
func (e *Engine) Sources() []SourceStatus {
	e.mu.Lock()
	workers := e.workers
	e.mu.Unlock()
	return e.sources(workers)
}

func (e *Engine) sources(workers []*worker) []SourceStatus {
	o := e.origins
	o.looking.Lock()
	defer o.looking.Unlock()
	list := make([]SourceStatus, 1, len(o.senders()))
	rest := sumOf(workers, OtherOrigin)
	rest.add(&o.gone)
	for n, sender := range o.senders() {
		if n == OtherOrigin || sender == (packets.Sender{}) {
			continue
		}
		sum, h := sumOf(workers, n), &o.hidden[n]
		if o.struck[n] || h.on && sum.events == h.events {
			rest.add(&sum)
			rest.last = max(rest.last, sum.last)
			continue
		}
		sum.subtract(&h.senderSum)
		rest.add(&h.senderSum)
		list = append(list, sum.status(sender))
	}
	if rest.events == 0 && rest.rejected == 0 {
		return list[1:]
	}
	rest.skew = noSkew
	list[0] = rest.status(packets.Sender{})
	return list
}

func (s *senderSum) status(from packets.Sender) SourceStatus {
	out := SourceStatus{
		Sender: from, Events: s.events, Rejected: s.rejected, Applied: s.applied, Created: s.created, Ended: s.ended,
	}
	if s.last > 0 {
		out.Last = time.Unix(0, s.last)
	}
	if s.skew != noSkew {
		ahead := time.Duration(s.skew) * time.Second
		out.Skew = &ahead
	}
	return out
}
