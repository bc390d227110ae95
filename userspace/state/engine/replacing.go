package engine

import (
	"log/slog"
	"sync/atomic"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
)

// A sync with --replace sends a deletion and a creation of each dialog, which an OpenSIPS takes for a new dialog. Here the deletion leaves a
// tombstone. The creation after it has the same start, so it is late, and every call ends. Nothing in the packets tells what they are
// for. But real calls don't begin again right after their end, many times in a second.

const (
	// The network doesn't reorder replacedCalls of one source within replacedWithin, each a late creation right after its deletion.
	replacedCalls  = 16
	replacedWithin = time.Second
	// replacedQuiet is for how long a source isn't named again.
	replacedQuiet = time.Hour
	// replacedNear is how many packets before a late creation its deletion is looked for: those of others may lie between them.
	replacedNear = 16
)

// replacements is the state by which a worker detects a sync with --replace. An ordinary batch has no late creation, and costs a few additions.
type replacements struct {
	late uint64 // late creations so far
	last ending // of the batch before
	from [MaxOrigins]struct {
		calls int
		since int64 // receive time of the first of them
	}
}

// ending is the deletion at the end of a batch. The zero value says that the batch ended with something else.
type ending struct {
	hash   uint32
	origin uint16
	valid  bool
}

// replaced looks for calls whose end is in the batch, followed by a late creation.
func (w *worker) replaced() {
	r, n := &w.replacements, len(w.batch.Packets)
	if n == 0 {
		return
	}
	late := uint64(0)
	for i := range w.engine.cfg.Intakes {
		late += w.count.intakes[i].Outcomes[dialog.Create][dialog.Late]
	}
	if late != r.late {
		r.late = late
		for i := range n {
			if ev := &w.events[i]; w.verdicts[i] == isEvent && ev.Kind == dialog.Create && ev.Outcome == dialog.Late && w.behindItsEnd(i) {
				w.replacedCall(ev.Origin, &w.batch.Packets[i])
			}
		}
	}
	r.last = ending{}
	if ev := &w.events[n-1]; w.verdicts[n-1] == isEvent && ev.Kind == dialog.Delete {
		r.last = ending{ev.Hash, ev.Origin, true}
	}
}

// behindItsEnd tells whether the source of event i sent a deletion of the same Call-ID shortly before.
func (w *worker) behindItsEnd(i int) bool {
	ev := &w.events[i]
	for k := i - 1; k >= max(i-replacedNear, 0); k-- {
		if e := &w.events[k]; w.verdicts[k] == isEvent && e.Origin == ev.Origin && e.Hash == ev.Hash {
			return e.Kind == dialog.Delete
		}
	}
	return i < replacedNear && w.replacements.last == ending{ev.Hash, ev.Origin, true}
}

// replacedCall counts one, and leaves a notice when there are many.
func (w *worker) replacedCall(origin uint16, d *packets.Packet) {
	c := &w.replacements.from[origin%MaxOrigins]
	if past := d.Received - c.since; past < 0 || past > int64(replacedWithin) {
		c.calls, c.since = 0, d.Received
	}
	c.calls++
	if c.calls == replacedCalls {
		w.engine.notices.replacing(origin, d)
	}
}

// replacing is a notice of a source that replaces what is here.
type replacing struct {
	told atomic.Int64 // receive time of what the last notice was about
	left atomic.Pointer[packets.Sender]
}

// replacing leaves a notice of the source of d, at most one in replacedQuiet.
func (n *notices) replacing(origin uint16, d *packets.Packet) {
	r := &n.sources[origin%MaxOrigins]
	told := r.told.Load()
	if told != 0 && d.Received-told < int64(replacedQuiet) || !r.told.CompareAndSwap(told, d.Received) {
		return
	}
	source := d.Sender
	r.left.Store(&source)
	n.rouse()
}

// flushReplacing logs the notices that were left.
func (n *notices) flushReplacing(log *slog.Logger) {
	for i := range n.sources {
		if source := n.sources[i].left.Swap(nil); source != nil {
			log.Warn("a source deletes calls and creates them again, which ends them here: sync --replace is for OpenSIPS; run a plain sync",
				"source", source.String())
		}
	}
}
