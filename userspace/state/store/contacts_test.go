package store_test

import (
	"encoding/binary"

	"binrepd/userspace/state/store"
)

// contacts is a second model on the store, made of its public API alone: addresses of record (AoR), each with a chain
// of contacts. It is as small as a model can be that has an order, deadlines, tombstones, limits and counts.
type contacts struct {
	shards *store.Shards[contactShard]
}

type contactShard struct {
	part       store.Shard
	quota      store.Quota
	live, gone int // contacts, and tombstones of contacts
}

// The model's part of an entry's header, and behind it AoR and URI. A tombstone keeps both.
const (
	atGone    = store.HeaderSize     // u8: 1 in a tombstone
	atCSeq    = store.HeaderSize + 1 // u32
	atExpires = store.HeaderSize + 5 // u32: Unix seconds
	atAoRSize = store.HeaderSize + 9 // u8
	atURISize = store.HeaderSize + 10
	atText    = store.HeaderSize + 11

	tombstoneTime = 60
	maxPerAoR     = 5
)

type contact []byte

func (c contact) gone() bool      { return c[atGone] != 0 }
func (c contact) cseq() uint32    { return binary.LittleEndian.Uint32(c[atCSeq:]) }
func (c contact) expires() uint32 { return binary.LittleEndian.Uint32(c[atExpires:]) }
func (c contact) aor() []byte     { return c[atText:][:c[atAoRSize]] }
func (c contact) uri() []byte     { return c[atText+int(c[atAoRSize]):][:c[atURISize]] }

func (c contact) fill(gone byte, cseq, expires uint32, aor, uri []byte) {
	c[atGone] = gone
	binary.LittleEndian.PutUint32(c[atCSeq:], cseq)
	binary.LittleEndian.PutUint32(c[atExpires:], expires)
	c[atAoRSize], c[atURISize] = byte(len(aor)), byte(len(uri))
	copy(c[atText:], aor)
	copy(c[atText+len(aor):], uri)
}

func newContacts(c store.Config, most int) (*contacts, error) {
	shards, err := store.New(c, store.Model[contactShard]{Part: func(s *contactShard) *store.Shard { return &s.part }})
	if err != nil {
		return nil, err
	}
	pool := store.NewPool(most, shards.Len())
	for i := range shards.Len() {
		shards.At(i).quota = pool.Quota()
	}
	return &contacts{shards}, nil
}

// find returns the spot of a contact, and how many entries its AoR has if the contact isn't there.
func (s *contactShard) find(tag uint32, aor, uri []byte) (sp store.Spot, others int) {
	at, first := s.part.Lookup(tag)
	for ; first != 0; at, first = s.part.LookupNext(at, tag) {
		if string(contact(s.part.Entry(first)).aor()) == string(aor) {
			break
		}
	}
	sp = store.Spot{At: at, First: first}
	for r := first; r != 0; others++ {
		e := s.part.Entry(r)
		if string(contact(e).uri()) == string(uri) {
			sp.Entry = r
			return sp, others
		}
		sp.Prev, r = r, e.Next()
	}
	sp.Prev = 0
	return sp, others
}

// register stores or renews a contact, or with expires 0 ends it and leaves a tombstone. It returns what became of it:
// "applied", "stale" if a CSeq at least as high was there, or "refused".
func (t *contacts) register(hash uint32, aor, uri []byte, cseq, expires, now uint32) string {
	s := t.shards.Lock(t.shards.Of(hash))
	defer s.part.Unlock()
	tag := s.part.Hash(aor)
	sp, others := s.find(tag, aor, uri)
	// A tombstone is smaller, because it lacks the padding: so contacts move between size classes.
	gone, deadline, size := byte(0), expires, atText+len(aor)+len(uri)+100
	if expires == 0 {
		gone, deadline, size = 1, now+tombstoneTime, size-100
	}
	if sp.Entry == 0 {
		if others >= maxPerAoR || !s.quota.Take() {
			return "refused"
		}
		if sp.Entry = s.part.Insert(&sp, tag, size); sp.Entry == 0 {
			s.quota.Give()
			return "refused"
		}
	} else {
		old := contact(s.part.Entry(sp.Entry))
		if old.cseq() >= cseq {
			return "stale"
		}
		if !s.part.Resize(&sp, size, atText+len(aor)+len(uri)) {
			return "refused"
		}
		s.count(contact(s.part.Entry(sp.Entry)), -1)
	}
	c := contact(s.part.Entry(sp.Entry))
	c.fill(gone, cseq, expires, aor, uri)
	s.part.SetDeadline(sp.Entry, deadline)
	s.count(c, 1)
	return "applied"
}

// forget removes a contact at once.
func (t *contacts) forget(hash uint32, aor, uri []byte) bool {
	s := t.shards.Lock(t.shards.Of(hash))
	defer s.part.Unlock()
	sp, _ := s.find(s.part.Hash(aor), aor, uri)
	if sp.Entry == 0 {
		return false
	}
	s.count(contact(s.part.Entry(sp.Entry)), -1)
	s.quota.Give()
	s.part.Remove(&sp)
	return true
}

func (s *contactShard) count(c contact, n int) {
	if c.gone() {
		s.gone += n
	} else {
		s.live += n
	}
}

// expire removes what is due and returns how many contacts and tombstones that were.
func (t *contacts) expire(now int64) (live, gone int) {
	t.shards.Expire(now, func(s *contactShard, e store.Entry) {
		if contact(e).gone() {
			gone++
		} else {
			live++
		}
		s.count(contact(e), -1)
		s.quota.Give()
	})
	return live, gone
}
