package store

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Slots fit in their chunk, classes grow by an eighth at most up to 7 kB, and every size has a class that holds it.
func TestSizeClasses(t *testing.T) {
	z := newSizes()
	for i, size := range z.slot {
		count := int(z.count[i])
		if size%refUnit != 0 || firstSlot(count)+count*int(size) > chunkSize {
			t.Errorf("class %d: %d slots of %d bytes in a chunk", i, count, size)
		}
		if i == 0 {
			continue
		}
		if last := z.slot[i-1]; size <= last {
			t.Errorf("class %d: %d bytes after %d", i, size, last)
		} else if size <= chunkSize/9 && size-last > max(refUnit, last/stepsPerDoubling) {
			t.Errorf("class %d: %d bytes after %d", i, size, last)
		}
	}
	if last := z.slot[len(z.slot)-1]; last != maxSlot {
		t.Errorf("largest slot is %d bytes, want %d", last, maxSlot)
	}
	for n := 1; n <= maxSlot; n++ {
		class := z.of(n)
		if int(z.slot[class]) < n || class > 0 && int(z.slot[class-1]) >= n {
			t.Fatalf("%d bytes: class %d of %d bytes", n, class, z.slot[class])
		}
	}
}

func newTestSlab(t *testing.T, limit int64) *slab {
	a, err := newArena(limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.close() })
	a.take(0) // chunk 0, which always belongs to an index
	z := newSizes()
	return &slab{mem: a.mem, arena: a, sizes: z, room: make([]uint32, len(z.slot))}
}

// Slots in use don't overlap, and their content stays.
func TestSlabSlotsAreApart(t *testing.T) {
	s := newTestSlab(t, 0)
	rng := rand.New(rand.NewPCG(1, 2))
	type slot struct {
		r    Ref
		n    int
		fill byte
	}
	var used []slot
	check := func(x slot) {
		e := s.entry(x.r)
		if got := e[HeaderSize:x.n]; !bytes.Equal(got, bytes.Repeat([]byte{x.fill}, len(got))) {
			t.Fatalf("slot at %d changed", x.r)
		}
		if at, _ := s.outline(x.r); s.mem[at] != x.fill {
			t.Fatalf("deadline of slot at %d changed", x.r)
		}
	}
	for range 20000 {
		if len(used) < 200 || rng.IntN(2) == 0 && len(used) < 2000 {
			x := slot{n: HeaderSize + rng.IntN(600), fill: byte(rng.Int())}
			if rng.IntN(20) == 0 {
				x.n = HeaderSize + rng.IntN(MaxEntry-HeaderSize+1)
			}
			if x.r = s.alloc(x.n, 0); x.r == 0 {
				t.Fatal("no memory")
			}
			s.setDeadline(x.r, uint32(x.fill))
			copy(s.entry(x.r)[HeaderSize:x.n], bytes.Repeat([]byte{x.fill}, x.n))
			used = append(used, x)
			continue
		}
		i := rng.IntN(len(used))
		check(used[i])
		s.release(used[i].r)
		used[i] = used[len(used)-1]
		used = used[:len(used)-1]
	}
	for _, x := range used {
		check(x)
		s.release(x.r)
	}
	// All but one chunk of each class are back.
	classes := map[uint8]bool{}
	for _, number := range s.chunks {
		c := s.arena.meta.at(number)
		if c.used != 0 || classes[c.class] {
			t.Errorf("chunk %d of class %d: %d in use", number, c.class, c.used)
		}
		classes[c.class] = true
	}
}
