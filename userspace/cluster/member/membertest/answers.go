package membertest

import (
	"sync"

	"binrepd/userspace/wire/bin2"
)

// Answers counts what a node gets of syncs. Take is its Config.Packets.
type Answers struct {
	mu     sync.Mutex
	chunks int
	totals []int32
}

// Take looks at one packet.
func (a *Answers) Take(p bin2.Packet) {
	kind, _, err := bin2.KindOf(p, 0)
	if err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var end bin2.SyncEnd
	switch kind {
	case bin2.KindSync:
		a.chunks++
	case bin2.KindSyncEnd:
		if end.Decode(p) == nil && string(end.Capability) == Dialogs {
			a.totals = append(a.totals, end.Total)
		}
	}
}

// Got returns how many packets with dialogs came, and the totals that ends of syncs announced.
func (a *Answers) Got() (chunks int, totals []int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.chunks, a.totals
}
