package store

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"
)

// Config of a Shards. The zero value of each field stands for its default.
type Config struct {
	// Shards is how many locks and indexes there are, 1 to MaxShards; default DefaultShards.
	Shards int
	// MaxBytes is how much memory is taken from the system; default as much as can be addressed, 64 GiB.
	MaxBytes int64
	// Reserve is how much of MaxBytes, in bytes, new entries leave to the changes of entries that exist. The default is
	// a 64th, at least 256 KiB. Below 0 it is none, and so it is without MaxBytes.
	Reserve int
	// Hash is the hash of the index; default maphash with a random seed. It is for tests that want equal tags.
	Hash func(key []byte) uint32
}

// Limits and defaults of Config.
const (
	MaxShards     = 4096
	DefaultShards = 16
	// LeastPerShard is the smallest MaxBytes for one shard: a chunk for its index and a chunk for entries.
	LeastPerShard = 2 * chunkSize
)

// Model tells Shards what it has to know of a model's shard type S.
type Model[S any] struct {
	// Part returns the Shard that a model's shard holds.
	Part func(*S) *Shard
	// Unlock gives a shard up. It may publish counters first, and must call Shard.Unlock. The default only calls that.
	Unlock func(*S)
}

// Shards is a number of shards that share memory. It is safe for concurrent use. Only Close must wait for all others.
type Shards[S any] struct {
	model Model[S]
	hash  func(key []byte) uint32
	arena *arena
	list  []padded[S]

	expiryLocks atomic.Uint64
}

// padded keeps the locks of two shards in different cache lines.
type padded[S any] struct {
	shard S
	_     [64]byte
}

// New makes empty shards.
func New[S any](c Config, model Model[S]) (*Shards[S], error) {
	if c.Shards == 0 {
		c.Shards = DefaultShards
	}
	switch {
	case c.Shards < 0 || c.Shards > MaxShards:
		return nil, fmt.Errorf("shards: %d is not 1 to %d", c.Shards, MaxShards)
	case c.MaxBytes < 0:
		return nil, fmt.Errorf("memory: %d bytes is below 0", c.MaxBytes)
	case c.MaxBytes > 0 && c.MaxBytes < int64(c.Shards)*LeastPerShard:
		return nil, fmt.Errorf("memory: %d bytes is below %d, the least for %d shards",
			c.MaxBytes, c.Shards*LeastPerShard, c.Shards)
	}
	if model.Unlock == nil {
		model.Unlock = func(s *S) { model.Part(s).Unlock() }
	}
	a, err := newArena(c.MaxBytes)
	if err != nil {
		return nil, err
	}
	t := &Shards[S]{model: model, hash: c.Hash, arena: a, list: make([]padded[S], c.Shards)}
	if t.hash == nil {
		seed := maphash.MakeSeed()
		t.hash = func(key []byte) uint32 { return uint32(maphash.Bytes(seed, key)) }
	}
	reserve := 0
	switch {
	case c.MaxBytes == 0 || c.Reserve < 0:
	case c.Reserve == 0:
		reserve = max(4*chunkSize, a.limit/64)
	default:
		reserve = c.Reserve
	}
	sizes := newSizes()
	for i := range t.list {
		s := model.Part(&t.list[i].shard)
		s.hash, s.reserve = t.hash, reserve
		s.slab = slab{mem: a.mem, arena: a, sizes: sizes, room: make([]uint32, len(sizes.slot))}
		if err := s.index.init(a); err != nil {
			return nil, errors.Join(fmt.Errorf("shard %d: %w", i, err), a.close())
		}
	}
	return t, nil
}

// Close gives the memory back. Nothing else may be called meanwhile or afterwards.
func (t *Shards[S]) Close() error {
	for i := range t.list {
		s := t.model.Part(&t.list[i].shard)
		s.mu.Lock()
		s.slab.mem, s.index.mem = nil, nil // a use after Close panics here, instead of touching what is no longer ours
		s.mu.Unlock()
	}
	return t.arena.close()
}

// Len returns how many shards there are.
func (t *Shards[S]) Len() int { return len(t.list) }

// Of returns the number of the shard for a steering hash. It is the rule of packets.Spread.
func (t *Shards[S]) Of(hash uint32) int { return int(uint64(hash) * uint64(len(t.list)) >> 32) }

// Hash returns the tag of a key.
func (t *Shards[S]) Hash(key []byte) uint32 { return t.hash(key) }

// At returns a shard without locking it: for what the model itself made safe to use without the lock.
func (t *Shards[S]) At(shard int) *S { return &t.list[shard].shard }

// Lock locks one shard and returns it. Model.Unlock gives it up. A goroutine must not hold two.
func (t *Shards[S]) Lock(shard int) *S {
	s := &t.list[shard].shard
	t.model.Part(s).mu.Lock()
	return s
}

// Prepare takes memory from the system ahead of need, and returns when there is enough. It may take long, and delays
// nobody else. One goroutine should call it at the start and whenever Low has an element. Without that the store works,
// but those who add entries wait for memory.
func (t *Shards[S]) Prepare() { t.arena.prepare() }

// Low has an element when half of the memory that was taken ahead of need is used up.
func (t *Shards[S]) Low() <-chan struct{} { return t.arena.low }

// Memory returns how many bytes are in use for entries and indexes, half-empty chunks included, how many were taken
// from the system, and how many can be dealt out at most. It takes no lock. dealt is never more than mapped.
func (t *Shards[S]) Memory() (dealt, mapped, limit int) {
	dealt, mapped = t.arena.sizes()
	return dealt, mapped, t.arena.limit
}
