package ring

import (
	"sync"
	"sync/atomic"
)

// giveBack moves the consumer's position, and with it the tally. Without a Tail only done does this. With a Tail, the
// tail does it when it has read on. Then done does it only if the tail falls too far behind; done never waits.
type giveBack struct {
	consumer *atomic.Uint64
	tail     *Tail  // nil if there is none
	most     uint64 // maximum bytes that may wait for the tail alone

	_ apart
	// position is where the records end that the Source has finished with. Only the Source's goroutine writes it.
	position atomic.Uint64
	upTo     counts // what is before position; used with a tail, only by the Source

	_     apart
	mu    sync.Mutex // used with a tail; guards what follows and the consumer's position
	tally tally
	// given is how many records are before the consumer's position.
	given atomic.Uint64
	_     apart
}

// apart separates what one goroutine writes from the cache lines of another goroutine. It is two lines long, because
// processors fetch lines in pairs.
type apart [128]byte

// begin starts at the consumer's position. kept is the memory of the tally, or nil if nothing outlives the process.
func (g *giveBack) begin(consumer *atomic.Uint64, kept []byte) {
	g.consumer = consumer
	at := consumer.Load()
	if kept != nil {
		g.tally = newTally(kept, at)
	}
	g.position.Store(at)
	g.given.Store(g.tally.sum())
}

// done says that the Source has finished with everything before position. taken is the count of records there.
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

// relieve gives back what the tail holds if that is more than allowed. It returns false if that is still to be done. It
// never waits: if another goroutine has the lock, that one is about to move the position, or the system has interrupted
// it.
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

// end cuts the tail off before the memory is unmapped. What the tail has not read is given back, too, since the Source
// has finished with it.
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
