package store

import (
	"math/rand/v2"
	"testing"
)

// outline computes where alloc puts things. If it were wrong, Prefetch would draw the wrong lines, and only time would
// tell.
func TestOutline(t *testing.T) {
	s := newTestSlab(t, 0)
	rng := rand.New(rand.NewPCG(5, 5))
	for range 5000 {
		r := s.alloc(1+rng.IntN(maxSlot)>>rng.IntN(10), 0)
		e := s.entry(r)
		base := int(r) / (chunkSize / refUnit) * chunkSize
		deadline, end := s.outline(r)
		if want := base + 4*int(e.slot()); int(deadline) != want {
			t.Fatalf("entry at %#x: deadline at %#x, want %#x", int(r)*refUnit, deadline, want)
		}
		if want := int(r)*refUnit + s.slotSize(e); int(end) != want {
			t.Fatalf("entry at %#x: ends at %#x, want %#x", int(r)*refUnit, end, want)
		}
	}
}

// Offsets may lie anywhere: a prefetch never faults, and changes nothing.
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
