package engine

import (
	"net/netip"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
)

// Status is a consistent-enough picture of a running engine: each worker's part is exact as of its last batch.
type Status struct {
	Started   time.Time
	Listeners []ListenerStatus
	Sources   []SourceStatus
	// Capabilities counts packets of other capabilities by name.
	Capabilities map[string]uint64
	Batches      Sizes
	Latency      Histogram // kernel receive to applied
	Expired      dialog.Expired
	Ended        uint64 // by hand (End)
	// ClockAhead is how far the wall clock is ahead of the one that expiry goes by.
	ClockAhead time.Duration
	Table      dialog.Counts
}

// ListenerStatus is the account of one listen address.
type ListenerStatus struct {
	Address netip.AddrPort
	Account
}

// SourceStatus is what one source sent. The zero Address stands for all that found no place in the register.
type SourceStatus struct {
	Address  netip.AddrPort
	Events   uint64 // good packets, of any capability
	Rejected uint64 // refused ones
	// Last is the receive time of the last good packet. Of a source that has sent none and owned live dialogs in a file that was loaded, it is
	// when they were loaded: such a source is missed from then on.
	Last time.Time
	// Skew is how far the source's clock is ahead of ours, by its recent creations, in whole seconds; nil if there was none.
	Skew *time.Duration
}

// Status takes the picture. It takes no lock that a worker takes, and looks at no dialog: however many ask, and however long the system lets them
// wait in the middle of it, ingest goes on.
func (e *Engine) Status() Status {
	s := Status{
		Started:      e.started,
		Listeners:    make([]ListenerStatus, len(e.cfg.Listeners)),
		Capabilities: map[string]uint64{},
		Ended:        e.ended.Load(),
	}
	for i, a := range e.cfg.Listeners {
		s.Listeners[i].Address = a
	}
	e.mu.Lock()
	workers := e.workers
	s.Expired = e.expired
	e.mu.Unlock()
	for _, w := range workers {
		w.read(func(t *tally) {
			for i := range s.Listeners {
				s.Listeners[i].Add(&t.listeners[i])
			}
			s.Batches.Add(&t.batches)
			s.Latency.Add(&t.latency)
			t.capabilities.addTo(s.Capabilities)
		})
	}
	s.Sources = e.sources(workers)
	s.ClockAhead = e.clock.aheadOf()
	// The table last: it then holds at least what the account tells.
	s.Table = e.cfg.Table.Counts()
	return s
}

// Total returns the account of all listeners together.
func (s *Status) Total() (sum Account) {
	for i := range s.Listeners {
		sum.Add(&s.Listeners[i].Account)
	}
	return sum
}

// Origin returns the address behind the origin number of a dialog; the zero value for OtherOrigin.
func (e *Engine) Origin(number uint16) netip.AddrPort {
	list := e.origins.endpoints()
	if number == OtherOrigin || int(number) >= len(list) {
		return netip.AddrPort{}
	}
	return list[number].AddrPort()
}

// OriginNumber returns the number of a source, giving it one if there is room, OtherOrigin otherwise. It serves those who put
// dialogs into the table that were received in an earlier life; live is whether this is a live one.
func (e *Engine) OriginNumber(ep packets.Endpoint, live bool) uint16 {
	n := e.origins.number(ep)
	if r := &e.origins.restored[n]; live && n != OtherOrigin && r.Load() == 0 {
		r.Store(e.cfg.Now().UnixNano())
	}
	return n
}

func (e *Engine) sources(workers []*worker) []SourceStatus {
	var list []SourceStatus
	for n, ep := range e.origins.endpoints() {
		s := SourceStatus{}
		if n != OtherOrigin {
			s.Address = ep.AddrPort()
		}
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
