package dialog

import "binrepd/userspace/state/store"

// Expired is how many entries the table removed because their time was over.
type Expired struct {
	Live       int // dialogs whose end no event told
	Early      int // calls whose answer no event told
	Tombstones int
	Waiting    int // Values and CSeqs whose dialog no event told of
}

func (e *Expired) add(state State) {
	switch {
	case state == waits:
		e.Waiting++
	case state == Ended:
		e.Tombstones++
	case state.BeingSetUp():
		e.Early++
	default:
		e.Live++
	}
}

// Expire removes what is due at now, in Unix seconds: live dialogs after timeout and grace, early ones and tombstones
// at the end of their time. It locks one shard at a time, for a short time, and many times. One goroutine should call
// it about once a second.
func (t *Table) Expire(now int64) Expired {
	var sum Expired
	t.shards.Expire(now, func(s *Shard, e store.Entry) {
		sum.add(entry(e).state())
		s.forget(entry(e))
	})
	return sum
}

// ExpiryLocks is how many locks Expire has taken so far. It grows while Expire makes progress, and not while Expire
// waits for a lock.
func (t *Table) ExpiryLocks() uint64 { return t.shards.ExpiryLocks() }

// ExpiryGrace returns Config.ExpiryGrace in seconds, as it is in force.
func (t *Table) ExpiryGrace() uint32 { return t.shards.At(0).grace }

// deadline is when an entry that changes now is due.
func (s *Shard) deadline(state State, timeout, now uint32) uint32 {
	at := uint64(now)
	switch {
	case state == Ended:
		at += uint64(s.tombstone)
	case state.BeingSetUp():
		at += uint64(s.early)
	default:
		if latest := at + uint64(s.lifetime); uint64(timeout) > latest {
			at = latest
			s.counts.clamped++
		} else {
			at = uint64(timeout)
		}
		at += uint64(s.grace)
	}
	return uint32(min(at, store.MaxDeadline))
}
