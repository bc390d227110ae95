package shield

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"binrepd/dialog/layout"
)

const (
	// maxSockets bounds the sockets that are listed. They come from the wire.
	maxSockets = 32
	// maxSocketName bounds the bytes that are kept of one; the longest real one, sctp with a written-out IPv6 address, has 52.
	maxSocketName = 64
)

// Report is what a Shield has counted.
type Report struct {
	// Held counts the changes held back, by reason. Held[Passed] counts those that were not.
	Held [Reasons]uint64
	// NoSocket counts snapshots without a caller's or a callee's socket, which OpenSIPS refuses.
	NoSocket uint64
	// Unmatched counts snapshots with a socket that no rule names, if there are rules.
	Unmatched uint64
	// Sockets are those sockets, the most frequent first. At most 32 are listed.
	Sockets []SocketCount
	// MoreSockets counts occurrences of sockets that are not listed.
	MoreSockets uint64
	// Lost is what the conversions of dialogs of generation 2 did.
	Lost layout.Lost
}

// SocketCount is how often a socket occurred.
type SocketCount struct {
	Socket string
	Count  uint64
}

// HeldBack returns the number of changes held back, for any reason.
func (r *Report) HeldBack() (n uint64) {
	for _, c := range r.Held[Passed+1:] {
		n += c
	}
	return n
}

// counts is what a Shield counts. The one user of the Shield writes it, and any goroutine may read it.
type counts struct {
	held      [Reasons]atomic.Uint64
	noSocket  atomic.Uint64
	unmatched atomic.Uint64
	tally     layout.Tally

	mu      sync.Mutex // guards what is below
	sockets map[string]*uint64
	more    uint64
}

func (c *counts) socket(name []byte) {
	name = name[:min(len(name), maxSocketName)]
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.sockets[string(name)]; n != nil {
		*n++
		return
	}
	if len(c.sockets) == maxSockets {
		c.more++
		return
	}
	if c.sockets == nil {
		c.sockets = make(map[string]*uint64, maxSockets)
	}
	one := uint64(1)
	c.sockets[string(name)] = &one
}

// Report returns what has been counted so far. It may be called from any goroutine.
func (s *Shield) Report() Report {
	c := &s.counts
	r := Report{NoSocket: c.noSocket.Load(), Unmatched: c.unmatched.Load(), Lost: c.tally.Lost()}
	for i := range r.Held {
		r.Held[i] = c.held[i].Load()
	}
	c.mu.Lock()
	for name, n := range c.sockets {
		r.Sockets = append(r.Sockets, SocketCount{name, *n})
	}
	r.MoreSockets = c.more
	c.mu.Unlock()
	slices.SortFunc(r.Sockets, func(a, b SocketCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Socket, b.Socket))
	})
	return r
}
