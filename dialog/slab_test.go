package dialog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Slots fit in their chunk, classes grow by an eighth at most up to some kB, and every size has a class that holds it.
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
	a.take(0) // chunk 0, which is an index's in a table
	z := newSizes()
	return &slab{mem: a.mem, arena: a, sizes: z, room: make([]uint32, len(z.slot))}
}

// Slots that are out at one time don't overlap, and their content stays.
func TestSlabSlotsAreApart(t *testing.T) {
	s := newTestSlab(t, 0)
	rng := rand.New(rand.NewPCG(1, 2))
	type slot struct {
		r    ref
		n    int
		fill byte
	}
	var out []slot
	check := func(x slot) {
		rec := s.record(x.r)
		if got := rec[recordHeader:x.n]; !bytes.Equal(got, bytes.Repeat([]byte{x.fill}, len(got))) {
			t.Fatalf("slot at %d changed", x.r)
		}
		if at, _ := s.outline(x.r); s.mem[at] != x.fill {
			t.Fatalf("deadline of slot at %d changed", x.r)
		}
	}
	for range 20000 {
		if len(out) < 200 || rng.IntN(2) == 0 && len(out) < 2000 {
			x := slot{n: recordHeader + rng.IntN(600), fill: byte(rng.Int())}
			if rng.IntN(20) == 0 {
				x.n = recordHeader + rng.IntN(MaxBody+1)
			}
			if x.r = s.alloc(x.n, 0); x.r == 0 {
				t.Fatal("no memory")
			}
			rec := s.record(x.r)
			s.setDeadline(x.r, rec.slot(), uint32(x.fill))
			copy(rec[recordHeader:x.n], bytes.Repeat([]byte{x.fill}, x.n))
			out = append(out, x)
			continue
		}
		i := rng.IntN(len(out))
		check(out[i])
		s.release(out[i].r)
		out[i] = out[len(out)-1]
		out = out[:len(out)-1]
	}
	for _, x := range out {
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

// Memory that served one size serves another afterwards: a change of load takes nothing more from the system.
func TestChunksAreUsedAgain(t *testing.T) {
	table := newTable(t, Config{Shards: 2})
	play := func(vars int) int {
		for n := range 20_000_000 / (vars + 200) {
			d := call(n)
			d.Vars = strings.Repeat("v", vars)
			if got := apply(t, table, epoch, snapshotEvent(t, Create, d))[0]; got != Applied {
				t.Fatal(got)
			}
		}
		mapped := table.Counts().Mapped
		table.Expire(1 << 40)
		return mapped
	}
	first := play(300)
	for _, vars := range []int{2000, 100, 20000, 300} {
		if mapped := play(vars); mapped > first*3/2 {
			t.Errorf("%d bytes mapped with dialogs of %d bytes, %d before", mapped, vars, first)
		}
	}
}

// Each dialog costs at most 1.25 times its packet and 64 bytes, all that was taken from the system counted.
func TestMemoryOfADialog(t *testing.T) {
	const dialogs = 200_000
	table := newTable(t, Config{})
	var buf []byte
	var ev Event
	evs := []*Event{&ev}
	packets := 0
	for n := range dialogs {
		d := sampleDialog(n)
		if n%50 == 0 {
			d.CallerRouteSet = strings.Repeat("<sip:edge.carrier.example.net;lr>,", 1+n%700/10)
		}
		buf = d.AppendPacked(buf[:0])
		packets += len(buf) + 22 // marker to command
		if fault := ParseSnapshot(buf, Create, &ev); fault != NoFault {
			t.Fatal(fault)
		}
		ev.Hash = hashOf(n)
		s := table.Lock(table.ShardOf(ev.Hash))
		s.Apply(evs, epoch)
		s.Unlock()
		if n%10_000 == 0 {
			table.Expire(epoch)
		}
	}
	c := table.Counts()
	if c.Live() != dialogs {
		t.Fatalf("counts %+v", c)
	}
	got, most := float64(c.Mapped)/dialogs, 1.25*float64(packets)/dialogs+64
	t.Logf("%.1f bytes a dialog mapped, %.1f the packet, %.1f allowed", got, float64(packets)/dialogs, most)
	if got > most {
		t.Errorf("%.1f bytes a dialog, more than %.1f", got, most)
	}
}

// What comes and goes takes nothing from the heap.
func TestApplyAllocatesNothing(t *testing.T) {
	table := newTable(t, Config{Shards: 1})
	const calls = 64
	var creates, updates, deletes []*Event
	for n := range calls {
		d := call(n)
		creates = append(creates, snapshotEvent(t, Create, d))
		d.State, d.Vars = Confirmed, strings.Repeat("v", n*20)
		updates = append(updates, snapshotEvent(t, Update, d))
		deletes = append(deletes, deleteEvent(t, d))
	}
	now := int64(epoch)
	round := func() {
		s := table.Lock(0)
		s.Apply(creates, now)
		s.Apply(updates, now)
		s.Apply(deletes, now)
		s.Unlock()
		now += 64
		if got := table.Expire(now); got.Tombstones != calls {
			t.Errorf("expired %+v", got)
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations a round", n)
	}
	for _, evs := range [][]*Event{creates, updates, deletes} {
		for _, ev := range evs {
			if ev.Outcome != Applied {
				t.Fatalf("%v %v", ev.Kind, ev.Outcome)
			}
		}
	}
}

// An arena that may not have all it asks for takes less, and says how much there is.
func TestArenaLimit(t *testing.T) {
	a, err := newArena(3 * chunkSize)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	var got []string
	for range 4 {
		n, ok := a.take(0)
		got = append(got, fmt.Sprint(n, ok))
	}
	if want := "[0 true 1 true 2 true 0 false]"; fmt.Sprint(got) != want {
		t.Errorf("took %v, want %v", got, want)
	}
	a.put(1)
	if _, ok := a.take(1); ok {
		t.Error("took the last chunk, which was to be kept")
	}
	if n, ok := a.take(0); n != 1 || !ok {
		t.Errorf("took %d %v, want chunk 1 again", n, ok)
	}
	a.prepare()
	if dealt, mapped := a.sizes(); dealt != 3*chunkSize || mapped != growStep {
		t.Errorf("%d dealt, %d mapped", dealt, mapped)
	}
}

// Memory prepared ahead is what is dealt out next, and when half of it is, somebody is told.
func TestArenaPrepare(t *testing.T) {
	a, err := newArena(0)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	a.prepare()
	_, before := a.sizes()
	if before != leastAhead {
		t.Errorf("%d bytes prepared, want %d", before, leastAhead)
	}
	for n := range before / chunkSize {
		a.take(0)
		if early := n < before/chunkSize/2; len(a.low) == 1 == early {
			t.Fatalf("%d of %d chunks taken, %d times told that memory is low", n+1, before/chunkSize, len(a.low))
		}
	}
	if _, mapped := a.sizes(); mapped != before {
		t.Errorf("%d bytes mapped, want no more than the %d prepared", mapped, before)
	}
	for range 20 * growStep / chunkSize { // faster than whoever prepares
		a.take(0)
	}
	<-a.low
	a.prepare()
	dealt, mapped := a.sizes()
	if mapped < dealt+leastAhead || mapped >= dealt+leastAhead+growStep {
		t.Errorf("%d bytes dealt, %d mapped, want %d ahead", dealt, mapped, leastAhead)
	}
	a.take(0)
	if len(a.low) != 0 {
		t.Error("told that memory is low just after it was prepared")
	}
}
