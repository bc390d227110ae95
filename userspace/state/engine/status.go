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
	// Last is the receive time of the last good packet. A source that has sent none, but owned live dialogs in a file that was loaded,
	// counts as heard when they were loaded: it is missed from then on.
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

// Total returns the account of all intakes together.
func (s *Status) Total() (sum Account) {
	for i := range s.Intakes {
		sum.Add(&s.Intakes[i].Account)
	}
	return sum
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
// a file, which an earlier process received; live tells whether the dialog is a live one.
func (e *Engine) OriginNumber(from packets.Sender, live bool) uint16 {
	n := e.origins.number(from)
	if r := &e.origins.restored[n]; live && n != OtherOrigin && r.Load() == 0 {
		r.Store(e.cfg.Now().UnixNano())
	}
	return n
}

func (e *Engine) sources(workers []*worker) []SourceStatus {
	var list []SourceStatus
	for n, sender := range e.origins.senders() {
		s := SourceStatus{Sender: sender}
		last, skew := int64(0), int64(noSkew)
		for _, w := range workers {
			if c := w.senders.counts[n].Load(); c != nil {
				s.Events += c.events.Load()
				s.Rejected += c.rejected.Load()
				last = max(last, c.last.Load())
				skew = max(skew, c.skew.estimate())
			}
		}
		if skew != noSkew && n != OtherOrigin {
			ahead := time.Duration(skew) * time.Second
			s.Skew = &ahead
		}
		if last == 0 {
			last = e.origins.restored[n].Load()
		}
		if last > 0 {
			s.Last = time.Unix(0, last)
		}
		if n != OtherOrigin || s.Events > 0 || s.Rejected > 0 {
			list = append(list, s)
		}
	}
	return list
}
