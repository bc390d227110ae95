package engine

import (
	"log/slog"
	"sync/atomic"

	"binrepd/userspace/in/packets"
)

// notices are about the first packet of each kind of bad input, and about sources that replace what is here. Workers only leave a notice.
// A goroutine of its own logs it, so that a log that blocks costs ingest nothing.
type notices struct {
	seen [verdicts]atomic.Bool
	left [verdicts]atomic.Pointer[notice]
	// sources that replace what is here, by origin.
	sources [MaxOrigins]replacing
	wake    chan struct{}
}

type notice struct {
	source packets.Sender
	intake uint8
	size   int
}

func (n *notices) init() { n.wake = make(chan struct{}, 1) }

// first leaves a notice if d is the first packet with verdict v.
func (n *notices) first(v verdict, d *packets.Packet) {
	if n.seen[v].Load() || n.seen[v].Swap(true) {
		return
	}
	n.left[v].Store(&notice{source: d.Sender, intake: d.Intake, size: len(d.Payload)})
	n.rouse()
}

// rouse has the notices flushed soon.
func (n *notices) rouse() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// flush logs the notices that were left.
func (n *notices) flush(log *slog.Logger) {
	for v := range n.left {
		if got := n.left[v].Swap(nil); got != nil {
			log.Warn("packet refused; further ones of this kind are only counted",
				"reason", verdict(v).String(), "source", got.source.String(),
				"intake", got.intake, "bytes", got.size)
		}
	}
	n.flushReplacing(log)
}
