package dialog

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"binrepd/userspace/state/store"
)

// Config of a Table. The zero value of each field stands for its default.
type Config struct {
	// Shards is how many locks and indexes there are, 1 to MaxShards; default 16.
	Shards int
	// MaxPerCall is how many dialogs and tombstones one Call-ID may have; default 128. Beyond it: RefusedCall.
	MaxPerCall int
	// MaxDialogs is how many dialogs, live and early, the table takes, and how many tombstones beside them; default no
	// limit. Shards share it by lending. So the table may refuse the first when up to an eighth is still free; with one
	// shard the limit is exact.
	MaxDialogs int
	// MaxBytes is how much memory the table takes from the system; default as much as it can address, 64 GiB. New
	// dialogs leave a 64th of it, at least 256 KiB, to the changes of dialogs that the table already has.
	MaxBytes int64
	// Tombstone is how long an ended dialog is remembered; default 64 s, twice a SIP transaction's life. It is rounded
	// up to whole seconds.
	Tombstone time.Duration
	// EarlyTimeout is how long a call being set up stays after its last change; default 180 s.
	EarlyTimeout time.Duration
	// ExpiryGrace is how long a live dialog stays after its timeout; default 60 s. Below 0 it is none.
	ExpiryGrace time.Duration
	// Wait is how long a Value or CSeq waits for its dialog; default 64 s. Below 0 none waits.
	Wait time.Duration
	// MaxWaiting is how many wait at most; default 262,144.
	MaxWaiting int
	// MaxLifetime is how far in the future a timeout is believed; default 20 years. Some proxies write ten years for
	// "no timeout". Much more comes from a wrong clock, or from a sender that wants to fill the table for good. Such a
	// dialog is stored as it came, but expires then.
	MaxLifetime time.Duration

	tag     func(callID []byte) uint32 // the index hash; for tests that want equal tags
	reserve int                        // store.Config.Reserve; for tests
}

// Limits and defaults of Config.
const (
	MaxShards           = store.MaxShards
	DefaultShards       = store.DefaultShards
	DefaultMaxPerCall   = 128
	DefaultTombstone    = 64 * time.Second
	DefaultEarlyTimeout = 180 * time.Second
	DefaultExpiryGrace  = 60 * time.Second
	DefaultWait         = 64 * time.Second
	DefaultMaxWaiting   = 1 << 18
	DefaultMaxLifetime  = 20 * 8766 * time.Hour // of 365.25 days
)

// Table holds dialogs by Call-ID, from-tag and to-tag. It is safe for concurrent use. Only Close must wait for all
// others.
type Table struct {
	shards *store.Shards[Shard]
	run    atomic.Uint32 // see BeginSync
}

// NewTable returns an empty table.
func NewTable(c Config) (*Table, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	shards, err := store.New(
		store.Config{Shards: c.Shards, MaxBytes: c.MaxBytes, Reserve: c.reserve, Hash: c.tag},
		store.Model[Shard]{Part: func(s *Shard) *store.Shard { return &s.part }, Unlock: (*Shard).Unlock})
	if err != nil {
		return nil, err
	}
	dialogs, tombstones := store.NewPool(c.MaxDialogs, c.Shards), store.NewPool(c.MaxDialogs, c.Shards)
	waiting := store.NewPool(c.MaxWaiting, c.Shards)
	t := &Table{shards: shards}
	t.run.Store(1)
	for i := range c.Shards {
		shards.At(i).init(&c, &t.run, dialogs, tombstones, waiting)
	}
	return t, nil
}

// complete fills in the defaults and checks what the store doesn't.
func (c *Config) complete() error {
	orDefault(&c.Shards, DefaultShards)
	orDefault(&c.MaxPerCall, DefaultMaxPerCall)
	orDefault(&c.Tombstone, DefaultTombstone)
	orDefault(&c.EarlyTimeout, DefaultEarlyTimeout)
	orDefault(&c.ExpiryGrace, DefaultExpiryGrace)
	orDefault(&c.MaxLifetime, DefaultMaxLifetime)
	orDefault(&c.Wait, DefaultWait)
	orDefault(&c.MaxWaiting, DefaultMaxWaiting)
	switch {
	case c.MaxPerCall < 0:
		return fmt.Errorf("dialogs of one Call-ID: %d is below 1", c.MaxPerCall)
	case c.MaxWaiting < 0:
		return fmt.Errorf("waiting changes: %d is below 0", c.MaxWaiting)
	case c.MaxDialogs < 0:
		return fmt.Errorf("dialogs: %d is below 0", c.MaxDialogs)
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
func (t *Table) Close() error { return t.shards.Close() }

// Prepare takes memory from the system ahead of need, and returns when there is enough. It may take long, and delays
// nobody else. One goroutine should call it at the start and whenever Low has an element. Without that the table works,
// but those who add dialogs wait for memory.
func (t *Table) Prepare() { t.shards.Prepare() }

// Low has an element when half of the memory that was taken ahead of need is used up.
func (t *Table) Low() <-chan struct{} { return t.shards.Low() }

// Shards returns how many shards there are.
func (t *Table) Shards() int { return t.shards.Len() }

// ShardOf returns the shard for a steering hash. It is the rule of packets.Spread.
func (t *Table) ShardOf(hash uint32) int { return t.shards.Of(hash) }

// Lock locks one shard and returns it. A goroutine must not hold two.
func (t *Table) Lock(shard int) *Shard { return t.shards.Lock(shard) }

// Get calls fn for each entry of the Call-ID, tombstones included, until fn returns false. hash is the steering hash of
// the Call-ID. The shard is locked meanwhile.
func (t *Table) Get(hash uint32, callID []byte, fn func(*View) bool) {
	tag := t.shards.Hash(callID)
	s := t.Lock(t.ShardOf(hash))
	defer s.Unlock()
	for r := s.chain(tag, callID); r != 0; {
		s.view.e = s.entry(r)
		r = s.view.e.next()
		if s.view.e.state() == waits {
			continue
		}
		if !fn(&s.view) {
			return
		}
	}
}

// Cursor is a place in a scan. The zero value is the beginning.
type Cursor = store.Cursor

// Bounds of one step of a scan, unless a single Call-ID has more.
const (
	ScanMost  = store.ScanMost  // entries
	ScanBytes = store.ScanBytes // bytes of memory that they use
)

// Scan calls fn for the next entries, tombstones included, under one shard's lock, and moves the cursor. It visits at
// most ScanMost entries that use at most ScanBytes, unless one Call-ID has more, of which it visits all. It reports whether there may be more. An entry that is there from the first step to the
// last is visited exactly once, whatever happens to it meanwhile. An entry that comes or goes may be visited or not.
func (t *Table) Scan(cur *Cursor, fn func(*View)) (more bool) {
	return t.shards.Scan(cur, func(s *Shard, e store.Entry) {
		if s.view.e = entry(e); s.view.e.state() == waits {
			return
		}
		fn(&s.view)
	})
}

// Disown gives the number to as Event.Origin of the last change to the next entries whose origin is among those. Steps and cursor are as
// in Scan. Messages that wait for their dialog are entries, too.
func (t *Table) Disown(cur *Cursor, among func(origin uint16) bool, to uint16) (more bool) {
	return t.shards.Scan(cur, func(_ *Shard, e store.Entry) {
		if e := entry(e); among(e.origin()) {
			binary.LittleEndian.PutUint16(e[atOrigin:], to)
		}
	})
}
