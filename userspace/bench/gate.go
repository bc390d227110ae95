package bench

import (
	"net"
	"sync"
	"time"

	"binrepd/userspace/in/packets"
)

// lap is what one round cost.
type lap struct {
	events    int
	wall, cpu time.Duration
	allocs    uint64 // of the whole process
}

// gate is a Source in front of another: it delivers in rounds of a known number of datagrams, and times each on the
// consumer's thread. So an engine runs on, warm, while rings are filled between the rounds.
type gate struct {
	packets.Source
	rounds chan int
	laps   chan lap
	clock  int32 // of processor time
	stop   sync.Once

	left   int
	events int
	watch  stopwatch
}

func newGate(s packets.Source, clock int32) *gate {
	return &gate{Source: s, clock: clock, rounds: make(chan int), laps: make(chan lap)}
}

// round lets n datagrams through, which must be there or come, and returns what that took.
func (g *gate) round(n int) lap {
	g.rounds <- n
	return <-g.laps
}

func (g *gate) Receive(b *packets.Batch) error {
	if g.left == 0 {
		n, ok := <-g.rounds
		if !ok {
			return net.ErrClosed
		}
		g.left, g.events = n, n
		g.watch = startWatch(g.clock)
	}
	err := g.Source.Receive(b)
	g.left -= len(b.Packets)
	return err
}

func (g *gate) Release(b *packets.Batch) {
	g.Source.Release(b)
	if g.left <= 0 {
		g.left = 0
		g.laps <- g.watch.stop(g.events)
	}
}

func (g *gate) Stop() { g.stop.Do(func() { close(g.rounds) }) }
