package dialog

import "sync/atomic"

// quota is a shard's share of a limit on the whole table. It borrows from the common pool several at a time, so
// that shards seldom meet there. The zero value is no limit.
type quota struct {
	pool  *atomic.Int64
	lease int64
	have  int64
}

func newQuota(pool *atomic.Int64, limit, shards int) quota {
	// What shards have borrowed and not used is at most two leases each: an eighth of the limit, or two for each shard.
	return quota{pool: pool, lease: int64(min(max(limit/(16*shards), 1), 256))}
}

// take uses one, and tells whether there was one.
func (q *quota) take() bool {
	if q.pool == nil {
		return true
	}
	for q.have == 0 {
		left := q.pool.Load()
		n := min(left, q.lease)
		if n == 0 {
			return false
		}
		if q.pool.CompareAndSwap(left, left-n) {
			q.have = n
		}
	}
	q.have--
	return true
}

// give returns one.
func (q *quota) give() {
	if q.pool == nil {
		return
	}
	if q.have++; q.have > 2*q.lease {
		q.have -= q.lease
		q.pool.Add(q.lease)
	}
}
