package dialog

import "sync/atomic"

// Counts is what the table holds.
type Counts struct {
	Answered   int // live, in state 3
	Confirmed  int // live, in state 4
	Early      int // being set up
	Tombstones int
	Waiting    int // Values and CSeqs that wait for their dialog
	// Settled is how many of those that waited were taken in by their dialog.
	Settled uint64
	// Unremembered is how often a dialog ended and left no tombstone, because there was no room.
	Unremembered uint64
	// Clamped is how many snapshots had a timeout beyond Config.MaxLifetime.
	Clamped uint64
	// Bytes is the sum of all entries: headers and packed bytes.
	Bytes int
	// Dealt is the memory in use for entries and indexes, half-empty chunks included. Mapped is what was taken from the
	// system.
	Dealt, Mapped int
	// Limit is how much can be dealt out: Config.MaxBytes, or what the system lets the table address.
	Limit int
}

// Live is the number of live dialogs.
func (c *Counts) Live() int { return c.Answered + c.Confirmed }

// Counts sums over the shards, one number after the other. It takes no lock that a change takes, and looks at no
// dialog. While changes are under way it is no snapshot: a call that changes its state meanwhile may be in both
// numbers, or in neither; a call that stays as it is counts exactly once. Dealt is never more than Mapped.
func (t *Table) Counts() Counts {
	var sum Counts
	for i := range t.shards.Len() {
		c := &t.shards.At(i).shown
		sum.Answered += int(c.byState[Answered].Load())
		sum.Confirmed += int(c.byState[Confirmed].Load())
		sum.Early += int(c.byState[Unconfirmed].Load() + c.byState[Early].Load())
		sum.Tombstones += int(c.byState[Ended].Load())
		sum.Waiting += int(c.byState[waits].Load())
		sum.Settled += c.settled.Load()
		sum.Unremembered += c.unremembered.Load()
		sum.Clamped += c.clamped.Load()
		sum.Bytes += int(c.bytes.Load())
	}
	sum.Dealt, sum.Mapped, sum.Limit = t.shards.Memory()
	return sum
}

// counts are a shard's own numbers, guarded by its lock.
type counts struct {
	byState      [Ended + 1]int
	bytes        int
	settled      uint64
	unremembered uint64
	clamped      uint64
}

// add counts e in, or out with n = -1.
func (c *counts) add(e entry, n int) {
	c.byState[e.state()%State(len(c.byState))] += n
	c.bytes += n * e.size()
}

func (c *counts) early() int { return c.byState[Unconfirmed] + c.byState[Early] }

// shown is a copy of counts for readers that have no lock. A shard writes it each time before it gives up its lock. So
// readers hold no lock that a change needs, even if the system stops them meanwhile.
type shown struct {
	byState      [Ended + 1]atomic.Int64
	bytes        atomic.Int64
	settled      atomic.Uint64
	unremembered atomic.Uint64
	clamped      atomic.Uint64
}

// show brings t up to date. An atomic store waits for all stores before it, so show stores only what has changed.
func (t *shown) show(c *counts) {
	for i := range c.byState {
		if n := int64(c.byState[i]); t.byState[i].Load() != n {
			t.byState[i].Store(n)
		}
	}
	if n := int64(c.bytes); t.bytes.Load() != n {
		t.bytes.Store(n)
	}
	if t.settled.Load() != c.settled {
		t.settled.Store(c.settled)
	}
	if t.unremembered.Load() != c.unremembered {
		t.unremembered.Store(c.unremembered)
	}
	if t.clamped.Load() != c.clamped {
		t.clamped.Store(c.clamped)
	}
}
