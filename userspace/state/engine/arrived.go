package engine

import (
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/arrival"
)

// Arrived returns the count of plain events that came from a sender. It is exact as of each worker's last batch. ok is false if the
// register of sources has no room for the sender: then nobody knows.
func (e *Engine) Arrived(from packets.Sender) (count arrival.Count, ok bool) {
	n, known := e.origins.find(from)
	if !known {
		return count, e.origins.hasRoom()
	}
	e.mu.Lock()
	workers := e.workers
	e.mu.Unlock()
	for _, w := range workers {
		if c := w.senders.counts[n].Load(); c != nil {
			count.Events += c.plain.Load()
			count.Digest += c.digest.Load()
		}
	}
	return count, true
}
