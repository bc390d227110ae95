package dialog

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"
)

// Config of a Table. The zero value of each field stands for its default.
type Config struct {
	// Shards is how many locks and indexes there are, 1 to MaxShards; default 16.
	Shards int
	// MaxPerCall is how many dialogs and tombstones one Call-ID may have; default 128. Beyond it: RefusedCall.
	MaxPerCall int
	// MaxDialogs is how many dialogs, live and early, the table takes, and how many tombstones beside them; default no limit.
	// Shards share it by lending, so that the first may be refused when up to an eighth is still free; with one shard it is exact.
	MaxDialogs int
	// MaxBytes is how much memory the table takes from the system; default as much as it can address, 64 GiB.
	// A 64th of it, at least 256 KiB, is left to the changes of dialogs that the table already has.
	MaxBytes int64
	// Tombstone is how long an ended dialog is remembered; default 64 s, twice a SIP transaction's life. Whole seconds count, rounded up.
	Tombstone time.Duration
	// EarlyTimeout is how long a call being set up is kept after its last change; default 180 s.
	EarlyTimeout time.Duration
	// ExpiryGrace is how long a live dialog is kept beyond its timeout; default 60 s. Below 0 it is none.
	ExpiryGrace time.Duration
	// MaxLifetime is how far in the future a timeout is believed; default 20 years. Some proxies write ten years for "no timeout"; what
	// is much more comes from a clock that is wrong or from somebody who wants to fill the table for good. Such a dialog is kept as it
	// came, but expires then.
	MaxLifetime time.Duration

	tag func(callID []byte) uint32 // the index hash, to be set by tests that want equal ones
}

// Limits and defaults of Config.
const (
	MaxShards           = 4096
	DefaultShards       = 16
	DefaultMaxPerCall   = 128
	DefaultTombstone    = 64 * time.Second
	DefaultEarlyTimeout = 180 * time.Second
	DefaultExpiryGrace  = 60 * time.Second
	DefaultMaxLifetime  = 20 * 8766 * time.Hour // of 365.25 days
)

// Table holds dialogs by Call-ID, from-tag and to-tag. It is safe for concurrent use; Close alone must wait for all others.
type Table struct {
	seed   maphash.Seed
	tag    func(callID []byte) uint32
	arena  *arena
	shards []Shard

	dialogs    atomic.Int64 // what is left of MaxDialogs and not lent to a shard
	tombstones atomic.Int64

	expiryLocks atomic.Uint64
}

// NewTable returns an empty table.
func NewTable(c Config) (*Table, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	a, err := newArena(c.MaxBytes)
	if err != nil {
		return nil, err
	}
	t := &Table{seed: maphash.MakeSeed(), tag: c.tag, arena: a, shards: make([]Shard, c.Shards)}
	if t.tag == nil {
		t.tag = func(callID []byte) uint32 { return uint32(maphash.Bytes(t.seed, callID)) }
	}
	t.dialogs.Store(int64(c.MaxDialogs))
	t.tombstones.Store(int64(c.MaxDialogs))
	sizes := newSizes()
	for i := range t.shards {
		if err := t.shards[i].init(t, &c, sizes); err != nil {
			return nil, errors.Join(fmt.Errorf("shard %d: %w", i, err), a.close())
		}
	}
	return t, nil
}

// complete puts the defaults in and checks the rest.
func (c *Config) complete() error {
	orDefault(&c.Shards, DefaultShards)
	orDefault(&c.MaxPerCall, DefaultMaxPerCall)
	orDefault(&c.Tombstone, DefaultTombstone)
	orDefault(&c.EarlyTimeout, DefaultEarlyTimeout)
	orDefault(&c.ExpiryGrace, DefaultExpiryGrace)
	orDefault(&c.MaxLifetime, DefaultMaxLifetime)
	switch {
	case c.Shards < 0 || c.Shards > MaxShards:
		return fmt.Errorf("shards: %d is not 1 to %d", c.Shards, MaxShards)
	case c.MaxPerCall < 0:
		return fmt.Errorf("dialogs of one Call-ID: %d is below 1", c.MaxPerCall)
	case c.MaxDialogs < 0:
		return fmt.Errorf("dialogs: %d is below 0", c.MaxDialogs)
	case c.MaxBytes < 0:
		return fmt.Errorf("memory: %d bytes is below 0", c.MaxBytes)
	case c.MaxBytes > 0 && c.MaxBytes < int64(c.Shards)*leastPerShard:
		return fmt.Errorf("memory: %d bytes is below %d, the least for %d shards", c.MaxBytes, c.Shards*leastPerShard, c.Shards)
	case c.Tombstone < 0:
		return fmt.Errorf("tombstone: %v is below 0", c.Tombstone)
	case c.MaxLifetime < 0:
		return fmt.Errorf("longest lifetime: %v is below 0", c.MaxLifetime)
	case c.EarlyTimeout < 0:
		return fmt.Errorf("early timeout: %v is below 0", c.EarlyTimeout)
	}
	return nil
}

func orDefault[T int | time.Duration](v *T, or T) {
	if *v == 0 {
		*v = or
	}
}

// seconds rounds d up to whole seconds.
func seconds(d time.Duration) uint32 {
	return uint32(min(max(0, (d+time.Second-1)/time.Second), math.MaxUint32))
}

// Close gives the memory back. Nothing else may be called meanwhile or afterwards.
func (t *Table) Close() error {
	for i := range t.shards {
		s := t.Lock(i)
		s.slab.mem, s.index.mem = nil, nil // a use after Close panics here, instead of touching what is no longer ours
		s.Unlock()
	}
	return t.arena.close()
}

// Prepare takes memory from the system ahead of need, and returns when there is enough. It may take long, and disturbs nobody. One
// goroutine should call it at the start and whenever Low has an element; without that the table works, but whoever adds dialogs waits for memory.
func (t *Table) Prepare() { t.arena.prepare() }

// Low has an element when memory that was taken ahead of need is half used up.
func (t *Table) Low() <-chan struct{} { return t.arena.low }

// Shards returns how many shards there are.
func (t *Table) Shards() int { return len(t.shards) }

// ShardOf returns the shard for a steering hash. It is the rule of datagram.Spread.
func (t *Table) ShardOf(hash uint32) int {
	return int(uint64(hash) * uint64(len(t.shards)) >> 32)
}

// Lock locks one shard and returns it. A goroutine must not hold two.
func (t *Table) Lock(shard int) *Shard {
	s := &t.shards[shard]
	s.mu.Lock()
	return s
}

// Get calls fn for each entry of the Call-ID, tombstones among them, until fn returns false. hash is the steering hash of
// the Call-ID. The shard is locked meanwhile.
func (t *Table) Get(hash uint32, callID []byte, fn func(*View) bool) {
	tag := t.tag(callID)
	s := t.Lock(t.ShardOf(hash))
	defer s.Unlock()
	_, r := s.chain(tag, callID)
	for r != 0 {
		s.view.rec = s.slab.record(r)
		next := s.view.rec.next()
		if !fn(&s.view) {
			return
		}
		r = next
	}
}

// Counts is what the table holds.
type Counts struct {
	Answered   int // live, in state 3
	Confirmed  int // live, in state 4
	Early      int // being set up
	Tombstones int
	// Unremembered is how often a dialog ended and left no tombstone, for want of room.
	Unremembered uint64
	// Clamped is how many snapshots had a timeout beyond Config.MaxLifetime.
	Clamped uint64
	// Bytes is the sum of all records: header and packed bytes.
	Bytes int
	// Dealt is the memory in use for records and indexes, half-empty chunks among it; Mapped is what was taken from the system.
	Dealt, Mapped int
	// Limit is how much can be dealt out: Config.MaxBytes, or what the system lets the table address.
	Limit int
}

// Live is the number of live dialogs.
func (c *Counts) Live() int { return c.Answered + c.Confirmed }

// Counts sums over the shards, one number after the other, and takes no lock that a change takes: with changes under way it is no snapshot. A call
// that goes from one state to another while it looks may be in both numbers, or in neither; of those that stay as they are none is missing or
// counted twice. Dealt is never more than Mapped. It looks at no dialog.
func (t *Table) Counts() Counts {
	var sum Counts
	for i := range t.shards {
		c := &t.shards[i].shown
		sum.Answered += int(c.byState[Answered].Load())
		sum.Confirmed += int(c.byState[Confirmed].Load())
		sum.Early += int(c.byState[Unconfirmed].Load() + c.byState[Early].Load())
		sum.Tombstones += int(c.byState[Ended].Load())
		sum.Unremembered += c.unremembered.Load()
		sum.Clamped += c.clamped.Load()
		sum.Bytes += int(c.bytes.Load())
	}
	sum.Dealt, sum.Mapped = t.arena.sizes()
	sum.Limit = t.arena.limit
	return sum
}
