package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
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
func (x *index) find(tag uint32, r Ref) int {
	at, got := x.seek(x.home(tag), tag)
	for got != 0 && got != r {
		at, got = x.seek(after(at), tag)
	}
	return at
}

// walk visits all slots by ranges of tags, as a scan does, and checks everything that must hold between directory,
// pages, slots and chunks.
func (x *index) walk(t *testing.T) map[Ref]uint32 {
	t.Helper()
	all := make(map[Ref]uint32)
	seen := make(map[uint32]bool)
	var atDepth [maxDepth + 1]uint32
	for from := uint64(0); from>>32 == 0; {
		first, end := x.span(uint32(from))
		if first != from {
			t.Fatalf("page of tag %#x begins at %#x", from, first)
		}
		b := x.bucket(uint32(from))
		if seen[b.page] || b != x.bucketOf(int(b.page)) || b != x.bucket(uint32(end-1)) {
			t.Fatalf("tags from %#x lead to page %+v", from, b)
		}
		seen[b.page] = true
		base := int(b.base) * pageSize
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
		p := x.pages[b.page]
		if int(p.count) != count {
			t.Fatalf("page of %#x counts %d, has %d", from, p.count, count)
		}
		atDepth[p.depth]++
		if p.depth > 0 {
			pair := x.pages[x.bucket(p.from^1<<(32-p.depth)).page]
			if pair.depth == p.depth && pair.count+p.count <= mergeMost {
				t.Fatalf("pages of %#x with %d and %d slots didn't merge", from, p.count, pair.count)
			}
		}
		from = end
	}
	if len(seen) != len(x.pages) || atDepth != x.atDepth {
		t.Fatalf("%d of %d pages in use, by depth %v, counted %v", len(seen), len(x.pages), atDepth, x.atDepth)
	}
	deepest := maxDepth
	for atDepth[deepest] == 0 {
		deepest--
	}
	if len(x.dir) != 1<<x.depth || int(x.depth) < deepest || int(x.depth) > deepest+1 {
		t.Fatalf("directory of %d, depth %d, deepest page %d", len(x.dir), x.depth, deepest)
	}
	if free := len(x.chunks)*chunkPages - len(x.pages); free < 0 || free >= chunkPages+spareAfterDrop {
		t.Fatalf("%d chunks for %d pages", len(x.chunks), len(x.pages))
	}
	return all
}

// The index is compared with a map while it grows and shrinks several times, with tags that are spread and with tags
// that crowd at their first or last bits.
func TestIndexIsAMap(t *testing.T) {
	for name, tag := range map[string]func(*rand.Rand) uint32{
		"spread":        func(r *rand.Rand) uint32 { return r.Uint32() },
		"front crowded": func(r *rand.Rand) uint32 { return 0xa0000000 | r.Uint32()>>4 },
		"home crowded":  func(r *rand.Rand) uint32 { return r.Uint32()&^0x1ff | 510 | r.Uint32()&1 },
		"pairs":         func(r *rand.Rand) uint32 { return r.Uint32() &^ 0xfff },
		"one deep spot": func(r *rand.Rand) uint32 {
			if r.IntN(4) == 0 {
				return r.Uint32()
			}
			return 0x14000000 | r.Uint32()>>6
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTestIndex(t)
			rng := rand.New(rand.NewPCG(1, 2))
			want := make(map[Ref]uint32)
			var refs []Ref
			next := Ref(1)
			step := func(grow bool) {
				if len(refs) == 0 || grow == (rng.IntN(4) > 0) {
					v := tag(rng)
					if !x.insert(v, next, 0) {
						t.Fatal("no memory")
					}
					want[next] = v
					refs = append(refs, next)
					next++
					return
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
			check := func() {
				t.Helper()
				for r, tag := range want {
					if x.find(tag, r) < 0 {
						t.Fatalf("ref %d is lost", r)
					}
				}
				if got := x.walk(t); !maps.Equal(got, want) {
					t.Fatalf("%d slots, want %d", len(got), len(want))
				}
			}
			for range 2 {
				for i := range 20_000 {
					step(true)
					if i%3_000 == 0 {
						check()
					}
				}
				if len(x.dir) > 4<<spareDepth*len(x.pages) {
					t.Errorf("directory of %d for %d pages", len(x.dir), len(x.pages))
				}
				for i := 0; len(refs) > 0; i++ {
					step(false)
					if i%3_000 == 0 {
						check()
					}
				}
				check()
				if len(x.pages) != 1 || len(x.chunks) != 1 || len(x.dir) > 2 {
					t.Errorf("%d pages, %d chunks and a directory of %d for nothing", len(x.pages), len(x.chunks), len(x.dir))
				}
			}
			if dealt, _ := x.arena.sizes(); dealt != chunkSize {
				t.Errorf("%d bytes dealt out at the end, want %d", dealt, chunkSize)
			}
		})
	}
}

// TestIndexDoesntThrash removes and inserts around each size on the way up and on the way down. Pages, chunks and the
// directory change only as often as the way alone requires, and not with each turn.
func TestIndexDoesntThrash(t *testing.T) {
	x := newTestIndex(t)
	rng := rand.New(rand.NewPCG(3, 4))
	var tags []uint32
	insert := func() {
		tags = append(tags, rng.Uint32())
		if !x.insert(tags[len(tags)-1], Ref(len(tags)), 0) {
			t.Fatal("no memory")
		}
	}
	remove := func() {
		last := len(tags)
		x.remove(x.find(tags[last-1], Ref(last)))
		tags = tags[:last-1]
	}
	changes := 0
	watch := func(do func()) {
		pages, chunks, depth := len(x.pages), len(x.chunks), x.depth
		do()
		if pages != len(x.pages) || chunks != len(x.chunks) || depth != x.depth {
			changes++
		}
	}
	const most = 40_000
	// Each step of the way goes forth by 101 and back by 100, so that each size is passed a hundred times.
	for len(tags) < most {
		for range 101 {
			watch(insert)
		}
		for range 100 {
			watch(remove)
		}
	}
	grown, pages := changes, len(x.pages)
	if grown > 2*pages {
		t.Errorf("%d changes on the way up to %d pages", grown, pages)
	}
	for len(tags) > 101 {
		for range 101 {
			watch(remove)
		}
		for range 100 {
			watch(insert)
		}
	}
	if shrunk := changes - grown; shrunk > 2*pages {
		t.Errorf("%d changes on the way down from %d pages", shrunk, pages)
	}
	if len(x.pages) > 2 {
		t.Errorf("%d pages at the end", len(x.pages))
	}
}

// Keys whose tags are all equal fill one page and are then refused. They neither loop nor blow the directory up. Only
// somebody who knows the seed could choose such keys.
func TestEqualTagsAreRefused(t *testing.T) {
	x := newTestIndex(t)
	const tag = 0xdeadbeef
	for n := range 2 * pageSlots {
		if got, want := x.insert(tag, Ref(n+1), 0), n < pageMost; got != want {
			t.Fatalf("insert %d: %v, want %v", n, got, want)
		}
	}
	if len(x.dir) > 1<<(spareDepth+5) || len(x.pages) > 32 {
		t.Errorf("directory of %d, %d pages", len(x.dir), len(x.pages))
	}
	for n := range pageMost {
		at := x.find(tag, Ref(n+1))
		if at < 0 {
			t.Fatalf("ref %d is lost", n+1)
		}
		x.remove(at)
	}
	x.walk(t)
	if len(x.pages) != 1 || len(x.dir) > 2 {
		t.Errorf("directory of %d, %d pages after all went", len(x.dir), len(x.pages))
	}
	if !x.insert(tag, 1, 0) {
		t.Error("refused after all went")
	}
}

// One insert splits two pages at most, so growing never moves much at once. The directory is all that is copied, and it
// is small.
func TestIndexGrowsByPages(t *testing.T) {
	x := newTestIndex(t)
	rng := rand.New(rand.NewPCG(1, 2))
	const entries = 300_000
	for n := range entries {
		pages := len(x.pages)
		if !x.insert(rng.Uint32(), Ref(n+1), 0) {
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

// Shards that grow and shrink in turns pass their chunks to each other: chunk 0 never leaves the first index.
func TestIndexesShareAnArena(t *testing.T) {
	a, err := newArena(0)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	var list [3]index
	for i := range list {
		if err := list[i].init(a); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(5, 6))
	var tags [len(list)][]uint32
	for turn := range 12 {
		i := turn % len(list)
		x := &list[i]
		if len(tags[i]) == 0 {
			for n := range 20_000 {
				tags[i] = append(tags[i], rng.Uint32())
				if !x.insert(tags[i][n], Ref(n+1), 0) {
					t.Fatal("no memory")
				}
			}
		} else {
			for n, tag := range tags[i] {
				x.remove(x.find(tag, Ref(n+1)))
			}
			tags[i] = nil
		}
		var chunks []uint32
		for j := range list {
			if got := list[j].walk(t); len(got) != len(tags[j]) {
				t.Fatalf("turn %d: index %d has %d slots, want %d", turn, j, len(got), len(tags[j]))
			}
			chunks = append(chunks, list[j].chunks...)
		}
		if list[0].chunks[0] != 0 {
			t.Fatalf("turn %d: the first index begins at chunk %d", turn, list[0].chunks[0])
		}
		slices.Sort(chunks)
		if got := slices.Compact(slices.Clone(chunks)); len(got) != len(chunks) {
			t.Fatalf("turn %d: a chunk has two owners: %v", turn, fmt.Sprint(chunks))
		}
	}
}
