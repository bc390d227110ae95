package donor

import (
	"slices"
	"time"
)

// DefaultSettle is how long a request waits for its repetition: a restarted node asks twice within 10 ms, once for its
// start and once for the link that came up. Two answers would run into each other in its one counter of chunks (W7).
const DefaultSettle = 30 * time.Millisecond

// Desk decides when a request is answered. It is a pure state machine with at most one answer to a node at a time:
//
//	request --> owed --table complete, settled--> running --> done
//	              ^                                  |
//	              '----- failed, and asked again ----'
//
// A request that can't be answered stays owed: nothing times out at the node, and an answer without data would end its
// calls. It is answered when the table is complete.
type Desk struct {
	Settle time.Duration // 0: DefaultSettle
	list   []request
}

type request struct {
	node    int32
	version int16
	due     time.Time
	running bool
	again   bool // asked while it ran
}

func (d *Desk) find(node int32) *request {
	if i := slices.IndexFunc(d.list, func(r request) bool { return r.node == node }); i >= 0 {
		return &d.list[i]
	}
	return nil
}

// Request takes a request and tells whether it is a new one, and not one that is owed or being answered already.
func (d *Desk) Request(now time.Time, node int32, version int16) (fresh bool) {
	if r := d.find(node); r != nil {
		r.version = version
		r.again = r.running
		return false
	}
	settle := d.Settle
	if settle <= 0 {
		settle = DefaultSettle
	}
	d.list = append(d.list, request{node: node, version: version, due: now.Add(settle)})
	return true
}

// Next returns the node whose request is to be answered now, if the table is complete. Its answer is running then.
func (d *Desk) Next(now time.Time) (node int32, version int16, ok bool) {
	for i := range d.list {
		if r := &d.list[i]; !r.running && !now.Before(r.due) {
			r.running, r.again = true, false
			return r.node, r.version, true
		}
	}
	return 0, 0, false
}

// Wake returns when Next may have a node; the zero time if none waits.
func (d *Desk) Wake() (at time.Time) {
	for i := range d.list {
		if r := &d.list[i]; !r.running && (at.IsZero() || r.due.Before(at)) {
			at = r.due
		}
	}
	return at
}

// Ended tells that the answer to a node has ended. complete tells that SYNC_END was sent. One that broke off is begun
// again if the node asked again meanwhile; if it did not, it is left as it is: it asks when it looks for us again.
func (d *Desk) Ended(now time.Time, node int32, complete bool) {
	r := d.find(node)
	switch {
	case r == nil:
	case complete || !r.again:
		d.Forget(node)
	default:
		r.running, r.again, r.due = false, false, now.Add(d.Settle)
	}
}

// Defer tells that a request could not be answered now, because there is no dialog to send. It stays owed.
func (d *Desk) Defer(at time.Time, node int32) {
	if r := d.find(node); r != nil {
		r.running, r.due = false, at
	}
}

// Forget drops what is owed to a node: it was restarted, or is gone.
func (d *Desk) Forget(node int32) {
	d.list = slices.DeleteFunc(d.list, func(r request) bool { return r.node == node })
}

// Owed returns the nodes that wait for an answer that hasn't begun.
func (d *Desk) Owed() (nodes []int32) {
	for i := range d.list {
		if !d.list[i].running {
			nodes = append(nodes, d.list[i].node)
		}
	}
	return nodes
}
