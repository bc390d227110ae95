package dialog

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

func newTestIndex(t *testing.T) *index {
	a, err := newArena(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.close() })
	x := new(index)
	if err := x.init(a); err != nil {
		t.Fatal(err)
	}
	return x
}

// find returns the slot of a pair, which is unique here, or -1.
func (x *index) find(tag uint32, r ref) int {
	for at := x.home(tag); ; at = after(at) {
		t, got := x.slot(at)
		if got == 0 {
			return -1
		}
		if t == tag && got == r {
			return at
		}
	}
}

// walk visits all slots by spans of tags, as a scan does, and checks that each slot lies in its page's span.
func (x *index) walk(t *testing.T) map[ref]uint32 {
	all := make(map[ref]uint32)
	for from := uint64(0); from>>32 == 0; {
		first, end := x.span(uint32(from))
		if first != from {
			t.Fatalf("page of tag %#x begins at %#x", from, first)
		}
		base := int(x.bucket(uint32(from)).base) * pageSize
		count := 0
		for at := base; at < base+pageSize; at += 8 {
			if tag, r := x.slot(at); r != 0 {
				count++
				all[r] = tag
				if uint64(tag) < first || uint64(tag) >= end {
					t.Fatalf("tag %#x on the page of %#x to %#x", tag, first, end)
				}
			}
		}
		if got := int(x.pages[x.bucket(uint32(from)).page].count); got != count {
			t.Fatalf("page of %#x counts %d, has %d", from, got, count)
		}
		from = end
	}
	return all
}

// The index against a map, with tags that are spread and ones that crowd together at their front or their end.
func TestIndexIsAMap(t *testing.T) {
	for name, tag := range map[string]func(*rand.Rand) uint32{
		"spread":        func(r *rand.Rand) uint32 { return r.Uint32() },
		"front crowded": func(r *rand.Rand) uint32 { return 0xa0000000 | r.Uint32()>>4 },
		"home crowded":  func(r *rand.Rand) uint32 { return r.Uint32()&^0x1ff | 510 | r.Uint32()&1 },
		"pairs":         func(r *rand.Rand) uint32 { return r.Uint32() &^ 0xfff },
	} {
		t.Run(name, func(t *testing.T) {
			x := newTestIndex(t)
			rng := rand.New(rand.NewPCG(1, 2))
			want := make(map[ref]uint32)
			var refs []ref
			next := ref(1)
			for i := range 60_000 {
				grow := i < 20_000 || i >= 40_000
				if len(refs) == 0 || grow == (rng.IntN(4) > 0) {
					v := tag(rng)
					if !x.insert(v, next, 0) {
						t.Fatal("no memory")
					}
					want[next] = v
					refs = append(refs, next)
					next++
					continue
				}
				k := rng.IntN(len(refs))
				r := refs[k]
				at := x.find(want[r], r)
				if at < 0 {
					t.Fatalf("ref %d is lost", r)
				}
				x.remove(at)
				delete(want, r)
				refs[k] = refs[len(refs)-1]
				refs = refs[:len(refs)-1]
			}
			for r, tag := range want {
				if x.find(tag, r) < 0 {
					t.Fatalf("ref %d is lost", r)
				}
			}
			if got := x.walk(t); !maps.Equal(got, want) {
				t.Errorf("%d slots, want %d", len(got), len(want))
			}
			if len(x.dir) > 1<<spareDepth*2*len(x.pages) {
				t.Errorf("directory of %d for %d pages", len(x.dir), len(x.pages))
			}
		})
	}
}

// Call-IDs whose tags are all equal, which nobody can bring about who doesn't know the seed, fill one page and are then
// refused; they neither loop nor blow the directory up.
func TestEqualTagsAreRefused(t *testing.T) {
	table := newTable(t, Config{Shards: 1, tag: func([]byte) uint32 { return 0xdeadbeef }})
	const calls = 2 * pageSlots
	for n := range calls {
		want := Applied
		if n >= pageMost {
			want = RefusedMemory
		}
		if got := apply(t, table, epoch, snapshotEvent(t, Create, call(n)))[0]; got != want {
			t.Fatalf("call %d: %v, want %v", n, got, want)
		}
	}
	x := &table.shards[0].index
	if len(x.dir) > 1<<(spareDepth+5) || len(x.pages) > 32 {
		t.Errorf("directory of %d, %d pages", len(x.dir), len(x.pages))
	}
	for n := range pageMost {
		found := 0
		id := fmt.Sprint("call ", n)
		table.Get(steer(id), []byte(id), func(*View) bool { found++; return true })
		if found != 1 {
			t.Fatalf("%s found %d times", id, found)
		}
	}
	if c := table.Counts(); c.Live() != pageMost {
		t.Errorf("counts %+v", c)
	}
	if got := table.Expire(1 << 40); got.Live != pageMost {
		t.Errorf("expired %+v", got)
	}
	if got := apply(t, table, epoch, snapshotEvent(t, Create, call(calls)))[0]; got != Applied {
		t.Errorf("after all went: %v", got)
	}
}

// Growing never moves more than one page: so many inserts, so few slots moved at once. The directory is all that is
// copied, and it is small.
func TestIndexGrowsByPages(t *testing.T) {
	x := newTestIndex(t)
	rng := rand.New(rand.NewPCG(1, 2))
	const entries = 300_000
	for n := range entries {
		pages := len(x.pages)
		if !x.insert(rng.Uint32(), ref(n+1), 0) {
			t.Fatal("no memory")
		}
		if len(x.pages) > pages+2 {
			t.Fatalf("insert %d split %d pages", n, len(x.pages)-pages)
		}
	}
	if full := float64(entries) / float64(len(x.pages)*pageSlots); full < 0.4 {
		t.Errorf("%.2f full on average", full)
	}
	if len(x.dir) > 16*len(x.pages) {
		t.Errorf("directory of %d for %d pages", len(x.dir), len(x.pages))
	}
}
