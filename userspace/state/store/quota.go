package store

import "sync/atomic"

// Pool is a limit on how many entries of a kind all shards together may have. Each shard has a Quota of it.
type Pool struct {
	left  atomic.Int64 // what is not lent to a shard
	lease int64
}

// NewPool makes a limit that a number of shards share. One of 0 is no limit.
func NewPool(limit, shards int) *Pool {
	if limit == 0 {
		return nil
	}
	// What shards have borrowed and not used is at most two leases each: an eighth of the limit, or two for each shard.
	p := &Pool{lease: int64(min(max(limit/(16*shards), 1), 256))}
	p.left.Store(int64(limit))
	return p
}

// Quota returns a shard's share, of which nothing is taken yet. That of a nil Pool has no limit.
func (p *Pool) Quota() Quota { return Quota{pool: p} }

// Quota is a shard's share of a Pool. It borrows several at a time, so that shards seldom meet at the Pool. So a shard
// may be refused when up to an eighth of the limit is still free; with one shard the limit is exact. The lock of the
// shard guards it. The zero value is no limit.
type Quota struct {
	pool *Pool
	have int64
}

// Take uses one, and reports whether there was one.
func (q *Quota) Take() bool {
	if q.pool == nil {
		return true
	}
	for q.have == 0 {
		left := q.pool.left.Load()
		n := min(left, q.pool.lease)
		if n == 0 {
			return false
		}
		if q.pool.left.CompareAndSwap(left, left-n) {
			q.have = n
		}
	}
	q.have--
	return true
}

// Give returns one.
func (q *Quota) Give() {
	if q.pool == nil {
		return
	}
	if q.have++; q.have > 2*q.pool.lease {
		q.have -= q.pool.lease
		q.pool.left.Add(q.pool.lease)
	}
}
