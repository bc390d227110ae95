package dialog

import (
	"fmt"
	"strings"
	"testing"
)

// Memory that held one size holds another afterwards: a change of load takes nothing more from the system.
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

// Each dialog costs at most 1.25 times its packet plus 64 bytes. That counts all memory taken from the system.
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

// Dialogs that come and go take nothing from the heap.
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

// When everything has expired, the memory in use is nearly what an empty table uses: index pages go back, too.
func TestExpiredMemoryComesBack(t *testing.T) {
	const shards, ends = 4, 400_000
	table := newTable(t, Config{Shards: shards})
	empty := table.Counts().Dealt
	e := new(benchEvent)
	evs := []*Event{&e.ev}
	for round := range 3 {
		for n := range ends {
			d := Details{CallID: fmt.Sprintf("%016x@198.51.100.7", uint64(n)*0x9e3779b97f4a7c15), FromTag: "from", ToTag: "to"}
			e.set(t, &d, Delete, hashOf(n))
			s := table.Lock(table.ShardOf(e.ev.Hash))
			s.Apply(evs, epoch)
			s.Unlock()
		}
		full := table.Counts()
		if full.Tombstones != ends {
			t.Fatalf("%d tombstones, want %d", full.Tombstones, ends)
		}
		table.Expire(1 << 40)
		// Each shard keeps a chunk of the size class in use and one of index pages.
		left := table.Counts()
		t.Logf("round %d: %d bytes empty, %d full, %d afterwards", round, empty, full.Dealt, left.Dealt)
		if most := empty + shards*64<<10; left.Dealt > most || left.Tombstones != 0 {
			t.Errorf("%d bytes in use after all expired, want at most %d", left.Dealt, most)
		}
	}
}
