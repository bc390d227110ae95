package ring

import (
	"sync"
	"sync/atomic"
)

// giveBack moves the consumer's position, and with it the tally. Without a Tail that is what done does, and nobody else. With one,
// the tail does it when it has read on, and done only where the tail falls too far behind: it never waits.
type giveBack struct {
	consumer *atomic.Uint64
	tail     *Tail  // nil without
	most     uint64 // bytes that may wait for the tail alone

	_ apart
	// position is up to where the Source is done. Only its goroutine writes it.
	position atomic.Uint64
	upTo     counts // what lies before position, with a tail; the Source's

	_     apart
	mu    sync.Mutex // with a tail, for what follows and for the consumer's position
	tally tally
	// given is how many records lie before the consumer's position.
	given atomic.Uint64
	_     apart
}

// apart keeps what one goroutine writes out of the cache lines that another one works in; processors fetch them in pairs.
type apart [128]byte

// begin starts at the consumer's position. kept is the memory of the tally, nil if nothing is kept.
func (g *giveBack) begin(consumer *atomic.Uint64, kept []byte) {
	g.consumer = consumer
	at := consumer.Load()
	if kept != nil {
		g.tally = newTally(kept, at)
	}
	g.position.Store(at)
	g.given.Store(g.tally.sum())
}

// done says that the Source is done with what lies before position, which is taken.
func (g *giveBack) done(position uint64, taken *counts) {
	if position == g.position.Load() {
		return
	}
	g.position.Store(position)
	if g.tail == nil {
		g.move(position, taken)
		return
	}
	g.upTo = *taken
	g.relieve()
}

// relieve gives back what the tail holds, where that is more than it may, and reports whether it is not any more. It doesn't wait: whoever has the
// lock is about to move on, or isn't let by the system.
func (g *giveBack) relieve() bool {
	at := g.position.Load()
	if g.tail == nil || at-g.consumer.Load() <= g.most {
		return true
	}
	if !g.mu.TryLock() {
		return false
	}
	defer g.mu.Unlock()
	g.move(at, &g.upTo)
	return true
}

func (g *giveBack) move(position uint64, c *counts) {
	g.tally.write(position, c)
	g.consumer.Store(position)
	g.given.Store(c.sum())
}

// end cuts the tail off, before the memory goes. What it has not read goes back, too: the Source is done with it.
func (g *giveBack) end() {
	if g.tail == nil {
		return
	}
	g.tail.using.Lock()
	defer g.tail.using.Unlock()
	g.tail.cut = true
	g.mu.Lock()
	defer g.mu.Unlock()
	if at := g.position.Load(); at != g.consumer.Load() {
		g.move(at, &g.upTo)
	}
}
