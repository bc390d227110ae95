package resync

import (
	"slices"

	"binrepd/dialog"
)

// chunk is a copy of the entries of one step of a scan, or of several. Nothing but copying is done under the shard's lock.
type chunk struct {
	bytes []byte
	// Deletions go out before snapshots: a deletion names a dialog with its tags in either order, and so could hit a live
	// one of the same Call-ID, which is in the same step and is then built again.
	deletions, snapshots []entry
}

// entry is one entry of the table; Body is chunk.bytes[from:to].
type entry struct {
	from, to, key  int // key: where the packed key ends
	state          dialog.State
	origin         uint16
	start, timeout uint32
	updated        uint32
}

func (c *chunk) reset() {
	c.bytes, c.deletions, c.snapshots = c.bytes[:0], c.deletions[:0], c.snapshots[:0]
}

// grow makes room for a chunk of several steps.
func (c *chunk) grow() {
	c.bytes = slices.Grow(c.bytes, gatherBytes*gatherRoom)
	c.snapshots = slices.Grow(c.snapshots, gatherMost*gatherRoom)
}

// full tells whether a chunk of several steps is large enough.
func (c *chunk) full() bool {
	return len(c.bytes) >= gatherBytes || len(c.deletions)+len(c.snapshots) >= gatherMost
}

func (c *chunk) add(v *dialog.View) {
	e := entry{
		from: len(c.bytes), state: v.State(), origin: v.Origin(),
		start: v.Start(), timeout: v.Timeout(), updated: v.Updated(),
	}
	c.bytes = append(c.bytes, v.Body()...)
	e.to, e.key = len(c.bytes), e.from+len(v.Key())
	if v.Tombstone() {
		c.deletions = append(c.deletions, e)
	} else {
		c.snapshots = append(c.snapshots, e)
	}
}

func (c *chunk) body(e *entry) dialog.Packed { return c.bytes[e.from:e.to:e.to] }

func (c *chunk) key(e *entry) dialog.Packed { return c.bytes[e.from:e.key:e.key] }
