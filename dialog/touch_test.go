package dialog

import (
	"math/rand/v2"
	"testing"
)

// What touch computes is where alloc puts things: else it would draw the wrong lines, which nothing but time would tell.
func TestOutline(t *testing.T) {
	table := newTable(t, Config{Shards: 1})
	s := table.Lock(0)
	defer s.Unlock()
	rng := rand.New(rand.NewPCG(5, 5))
	for range 5000 {
		r := s.slab.alloc(1+rng.IntN(maxSlot)>>rng.IntN(10), 0)
		rec := s.slab.record(r)
		base := int(r) / (chunkSize / refUnit) * chunkSize
		deadline, end := s.slab.outline(r)
		if want := base + 4*int(rec.slot()); int(deadline) != want {
			t.Fatalf("record at %#x: deadline at %#x, want %#x", int(r)*refUnit, deadline, want)
		}
		if want := int(r)*refUnit + s.slab.slotOf(rec); int(end) != want {
			t.Fatalf("record at %#x: ends at %#x, want %#x", int(r)*refUnit, end, want)
		}
	}
}

// Offsets may lie anywhere: a prefetch faults nowhere, and changes nothing.
func TestPrefetchLines(t *testing.T) {
	mem := []byte("unchanged")
	far := []uint64{0, 1 << 20, 1 << 40, 1<<64 - 1, 1 << 63}
	for n := range len(far) + 1 {
		prefetchLines(mem, far[:n])
	}
	prefetchLines(nil, far)
	if string(mem) != "unchanged" {
		t.Errorf("%q", mem)
	}
}
