package dialog

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"binrepd/userspace/in/packets"
)

// TestHashFlood is what somebody can do who knows a steering key and chooses Call-IDs: 200,000 dialogs that all fall into one
// shard, and so to one ring, of 32. With a key that he doesn't know, which every start makes, the same Call-IDs spread like any
// others and cost the same.
func TestHashFlood(t *testing.T) {
	const dialogs, shards = 200_000, 32
	known, random := packets.Steering{K0: 1, K1: 2}, packets.Steering{K0: 0x6b79, K1: 0x51f1}
	var chosen, ordinary []string
	var id []byte
	for i := int64(1_000_000_000); len(chosen) < dialogs; i++ {
		id = append(strconv.AppendInt(id[:0], i, 10), "@198.51.100.7"...)
		if packets.Spread(known.CallID(id), shards) == 0 {
			chosen = append(chosen, string(id))
		}
		if len(ordinary) < dialogs {
			ordinary = append(ordinary, string(id))
		}
	}
	type result struct {
		took           time.Duration
		fullest        int // dialogs in the fullest shard
		probes, probed float64
	}
	fill := func(ids []string, steering packets.Steering) result {
		table, err := NewTable(Config{Shards: shards})
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		d := sampleDialog(1)
		e := new(benchEvent)
		var r result
		for _, id := range ids {
			d.CallID = id
			e.set(t, &d, Create, steering.CallID([]byte(id)))
			shard := table.ShardOf(e.ev.Hash)
			began := time.Now()
			s := table.Lock(shard)
			s.Apply([]*Event{&e.ev}, 1_795_000_000)
			s.Unlock()
			r.took += time.Since(began)
			if e.ev.Outcome != Applied {
				t.Fatalf("%s: %s", id, e.ev.Outcome)
			}
		}
		for i := range table.shards {
			s := &table.shards[i]
			r.fullest = max(r.fullest, s.counts.byState[Answered])
			s.eachProbe(func(n int) {
				r.probed = max(r.probed, float64(n))
				r.probes += float64(n) / dialogs
			})
		}
		return r
	}
	plain, flooded, attacked := fill(ordinary, random), fill(chosen, random), fill(chosen, known)
	ratio := float64(flooded.took) / float64(plain.took) // to look at: time is no pass mark
	t.Logf("ordinary: %v, fullest shard %d, probes %.1f, at most %.0f", plain.took, plain.fullest, plain.probes, plain.probed)
	t.Logf("chosen:   %v, fullest shard %d, probes %.1f, at most %.0f; ratio %.2f", flooded.took, flooded.fullest, flooded.probes, flooded.probed, ratio)
	t.Logf("chosen by who knows the key: %v, fullest shard %d, probes %.1f, at most %.0f", attacked.took, attacked.fullest, attacked.probes, attacked.probed)
	if attacked.fullest != dialogs {
		t.Errorf("the Call-IDs don't collide: %d in a shard", attacked.fullest)
	}
	if most := dialogs / shards * 11 / 10; flooded.fullest > most {
		t.Errorf("%d dialogs in one shard of %d, want at most %d", flooded.fullest, shards, most)
	}
	if flooded.probes > 1.1*plain.probes { // both are means of 200,000
		t.Errorf("a search for chosen Call-IDs takes %.2f probes, for ordinary ones %.2f", flooded.probes, plain.probes)
	}
	// The index has a key of its own: even when all are in one shard no search is long. A page bounds it in any case.
	for _, r := range []result{plain, flooded, attacked} {
		if r.probes > 8 || r.probed > pageMost {
			t.Errorf("%.1f probes, at most %.0f", r.probes, r.probed)
		}
	}
	slices.Sort(chosen) // each is another call
	if n := len(slices.Compact(chosen)); n != dialogs {
		t.Errorf("%d different Call-IDs", n)
	}
}

// eachProbe calls fn with how many slots a search for each Call-ID looks at.
func (s *Shard) eachProbe(fn func(int)) {
	for _, e := range slices.Compact(slices.Clone(s.index.dir)) {
		base := int(e.base) * pageSize
		for at := base; at < base+pageSize; at += 8 {
			if tag, r := s.index.slot(at); r != 0 {
				fn((at-s.index.home(tag))&(pageSize-1)/8 + 1)
			}
		}
	}
}
