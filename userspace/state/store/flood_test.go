package store

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"binrepd/userspace/in/packets"
)

// set is the smallest model: keys and nothing else.
type set struct {
	part Shard
	keys int
}

var setModel = Model[set]{Part: func(s *set) *Shard { return &s.part }}

const atKey = HeaderSize + 1 // behind the length of the key

// find returns the spot of a key.
func (s *set) find(tag uint32, key []byte) (sp Spot) {
	at, r := s.part.Lookup(tag)
	for r != 0 {
		sp = Spot{At: at, First: r, Entry: r}
		if e := s.part.Entry(r); string(e[atKey:atKey+int(e[HeaderSize])]) == string(key) {
			return sp
		}
		at, r = s.part.LookupNext(at, tag)
	}
	return Spot{At: -1}
}

// add puts a key in that isn't there, and reports whether there was memory.
func (s *set) add(key []byte, deadline uint32) bool {
	tag := s.part.Hash(key)
	sp := s.find(tag, key)
	r := s.part.Insert(&sp, tag, atKey+len(key))
	if r == 0 {
		return false
	}
	e := s.part.Entry(r)
	e[HeaderSize] = byte(len(key))
	copy(e[atKey:], key)
	s.part.SetDeadline(r, deadline)
	s.keys++
	return true
}

// TestHashFlood is what somebody can do who knows a steering key and chooses Call-IDs: 200,000 entries all fall into
// one shard of 32, and so into one ring. Each start makes a key. With a key that the attacker doesn't know, the same
// Call-IDs spread like any others and cost the same.
func TestHashFlood(t *testing.T) {
	const entries, shards = 200_000, 32
	known, random := packets.Steering{K0: 1, K1: 2}, packets.Steering{K0: 0x6b79, K1: 0x51f1}
	var chosen, ordinary []string
	var id []byte
	for i := int64(1_000_000_000); len(chosen) < entries; i++ {
		id = append(strconv.AppendInt(id[:0], i, 10), "@198.51.100.7"...)
		if packets.Spread(known.CallID(id), shards) == 0 {
			chosen = append(chosen, string(id))
		}
		if len(ordinary) < entries {
			ordinary = append(ordinary, string(id))
		}
	}
	type result struct {
		took           time.Duration
		fullest        int // entries in the fullest shard
		probes, probed float64
	}
	fill := func(ids []string, steering packets.Steering) result {
		table, err := New(Config{Shards: shards}, setModel)
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		var r result
		began := time.Now()
		for _, key := range ids {
			s := table.Lock(table.Of(steering.CallID([]byte(key))))
			ok := s.add([]byte(key), MaxDeadline)
			s.part.Unlock()
			if !ok {
				t.Fatalf("%s: no memory", key)
			}
		}
		r.took = time.Since(began)
		for i := range table.Len() {
			s := table.At(i)
			r.fullest = max(r.fullest, s.keys)
			s.part.index.eachProbe(func(n int) {
				r.probed = max(r.probed, float64(n))
				r.probes += float64(n) / entries
			})
		}
		return r
	}
	plain, flooded, attacked := fill(ordinary, random), fill(chosen, random), fill(chosen, known)
	ratio := float64(flooded.took) / float64(plain.took) // only logged: time is no pass mark
	t.Logf("ordinary: %v, fullest shard %d, probes %.1f, at most %.0f",
		plain.took, plain.fullest, plain.probes, plain.probed)
	t.Logf("chosen:   %v, fullest shard %d, probes %.1f, at most %.0f; ratio %.2f",
		flooded.took, flooded.fullest, flooded.probes, flooded.probed, ratio)
	t.Logf("chosen with the key known: %v, fullest shard %d, probes %.1f, at most %.0f",
		attacked.took, attacked.fullest, attacked.probes, attacked.probed)
	if attacked.fullest != entries {
		t.Errorf("the Call-IDs don't collide: %d in a shard", attacked.fullest)
	}
	if most := entries / shards * 11 / 10; flooded.fullest > most {
		t.Errorf("%d entries in one shard of %d, want at most %d", flooded.fullest, shards, most)
	}
	if flooded.probes > 1.1*plain.probes { // both are means of 200,000
		t.Errorf("a search for chosen Call-IDs takes %.2f probes, for ordinary ones %.2f", flooded.probes, plain.probes)
	}
	// The index has a seed of its own: no search is long, even when all are in one shard. A page bounds it in any case.
	for _, r := range []result{plain, flooded, attacked} {
		if r.probes > 8 || r.probed > pageMost {
			t.Errorf("%.1f probes, at most %.0f", r.probes, r.probed)
		}
	}
	slices.Sort(chosen) // each is another call
	if n := len(slices.Compact(chosen)); n != entries {
		t.Errorf("%d different Call-IDs", n)
	}
}

// eachProbe calls fn for each chain with the number of slots that a search for it looks at.
func (x *index) eachProbe(fn func(int)) {
	for number := range x.pages {
		base := int(x.bucketOf(number).base) * pageSize
		for at := base; at < base+pageSize; at += 8 {
			if tag, r := x.slot(at); r != 0 {
				fn((at-x.home(tag))&(pageSize-1)/8 + 1)
			}
		}
	}
}
