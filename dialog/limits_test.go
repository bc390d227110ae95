package dialog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/state/store"
)

func call(n int) Details {
	return Details{CallID: fmt.Sprint("call ", n), FromTag: "a", ToTag: "b", State: Answered, Start: 100, Timeout: epoch + 100}
}

func TestMaxDialogs(t *testing.T) {
	const most = 50
	table := newTable(t, Config{Shards: 1, MaxDialogs: most})
	for n := range most {
		if got := apply(t, table, epoch, snapshotEvent(t, Create, call(n)))[0]; got != Applied {
			t.Fatalf("dialog %d: %v", n, got)
		}
	}
	confirmed := call(7)
	confirmed.State = Confirmed
	early := call(most)
	early.State = Early
	got := fmt.Sprint(apply(t, table, epoch,
		snapshotEvent(t, Create, call(most)),
		snapshotEvent(t, Update, early),
		snapshotEvent(t, Update, confirmed),
		deleteEvent(t, call(8)),
		snapshotEvent(t, Create, call(most)),
		snapshotEvent(t, Create, call(most+1))))
	if want := "[refused_memory refused_memory applied applied applied refused_memory]"; got != want {
		t.Errorf("outcomes %v, want %v", got, want)
	}
	// A newer call that replaces a tombstone needs room like any other dialog.
	newer := call(8)
	newer.Start = 101
	if got := apply(t, table, epoch, snapshotEvent(t, Create, newer))[0]; got != RefusedMemory {
		t.Errorf("newer call after a tombstone: %v", got)
	}
	if c := table.Counts(); c.Live() != most || c.Tombstones != 1 {
		t.Errorf("counts %+v", c)
	}
}

// There are at most as many tombstones as dialogs. Further deletions work, but leave none.
func TestMaxTombstones(t *testing.T) {
	const most = 50
	table := newTable(t, Config{Shards: 1, MaxDialogs: most})
	for n := range most {
		if got := apply(t, table, epoch, deleteEvent(t, call(n)))[0]; got != Unknown {
			t.Fatalf("deletion %d: %v", n, got)
		}
	}
	got := fmt.Sprint(apply(t, table, epoch,
		deleteEvent(t, call(most)),
		snapshotEvent(t, Create, call(most)),
		deleteEvent(t, call(most)),
		snapshotEvent(t, Create, call(most))))
	if want := "[refused_memory applied applied applied]"; got != want {
		t.Errorf("outcomes %v, want %v", got, want)
	}
	if c := table.Counts(); c.Tombstones != most || c.Unremembered != 1 || c.Live() != 1 {
		t.Errorf("counts %+v", c)
	}
	if got, want := table.Expire(epoch+64), (Expired{Tombstones: most}); got != want {
		t.Errorf("expired %+v, want %+v", got, want)
	}
	if got := apply(t, table, epoch+64, deleteEvent(t, call(1)))[0]; got != Unknown {
		t.Errorf("deletion after expiry: %v", got)
	}
}

// The limit holds for the table, not for each shard: shards lend it to each other.
func TestMaxDialogsOverShards(t *testing.T) {
	const most = 1000
	table := newTable(t, Config{Shards: 4, MaxDialogs: most})
	taken := 0
	for n := range 2 * most {
		if apply(t, table, epoch, snapshotEvent(t, Create, call(n)))[0] == Applied {
			taken++
		}
	}
	if taken > most || taken < most-most/8 {
		t.Errorf("%d dialogs taken, want about %d and no more", taken, most)
	}
	table.Expire(1 << 40)
	for n := range most / 2 {
		if got := apply(t, table, epoch, snapshotEvent(t, Create, call(n)))[0]; got != Applied {
			t.Fatalf("dialog %d after all went: %v", n, got)
		}
	}
}

// When memory is exhausted, new dialogs are refused and changes of known ones go on.
func TestMaxBytes(t *testing.T) {
	table := newTable(t, Config{Shards: 2, MaxBytes: 8 << 20})
	big := func(n, size int) Details {
		d := call(n)
		d.Vars = strings.Repeat("v", size)
		return d
	}
	n := 0
	for apply(t, table, epoch, snapshotEvent(t, Create, big(n, 3000)))[0] == Applied {
		if n++; n > 8<<20/3000 {
			t.Fatal("never refused")
		}
	}
	if n < 6<<20/3200 {
		t.Errorf("refused after %d dialogs of 3 kB", n)
	}
	for i := range n {
		got := apply(t, table, epoch, snapshotEvent(t, Update, big(i, 2000)), deleteEvent(t, call(i)), deleteEvent(t, call(i)))
		if got[0] != Applied || got[1] != Applied || got[2] != Duplicate {
			t.Fatalf("dialog %d: %v", i, got)
		}
	}
	c := table.Counts()
	if c.Live() != 0 || c.Tombstones != n {
		t.Errorf("counts %+v, want %d tombstones", c, n)
	}
	if c.Mapped > 8<<20 {
		t.Errorf("%d bytes mapped", c.Mapped)
	}
	table.Expire(1 << 40)
	for i := range n * 9 / 10 { // each size class in use keeps a chunk
		if got := apply(t, table, epoch, snapshotEvent(t, Create, big(i, 3000)))[0]; got != Applied {
			t.Fatalf("dialog %d after all went: %v", i, got)
		}
	}
}

// Without memory even for a small slot, a tombstone stays in the slot of its dialog, and an update that grows is
// refused.
func TestNoMemoryAtAll(t *testing.T) {
	table := newTable(t, Config{Shards: 1, MaxBytes: store.LeastPerShard, reserve: -1})
	a, b := call(1), call(2)
	a.Vars, b.Vars = strings.Repeat("v", 5000), strings.Repeat("w", 5000)
	bigger := b
	bigger.Vars += strings.Repeat("w", 2000)
	smaller := b
	smaller.Vars = "w"
	got := fmt.Sprint(apply(t, table, epoch,
		snapshotEvent(t, Create, a),
		snapshotEvent(t, Create, b),
		deleteEvent(t, a),
		snapshotEvent(t, Update, a),
		snapshotEvent(t, Update, bigger),
		snapshotEvent(t, Update, smaller),
		deleteEvent(t, call(3))))
	if want := "[applied applied applied late refused_memory applied refused_memory]"; got != want {
		t.Errorf("outcomes %v, want %v", got, want)
	}
	table.Get(steer(b.CallID), []byte(b.CallID), func(v *View) bool {
		if v.Body().Details() != smaller {
			t.Error("the smaller update is not there")
		}
		return true
	})
	if c := table.Counts(); c.Live() != 1 || c.Tombstones != 1 {
		t.Errorf("counts %+v", c)
	}
}

// A newer call that replaces a tombstone and finds no memory uses up nothing of the limit.
func TestRefusedReplacementGivesBack(t *testing.T) {
	table := newTable(t, Config{Shards: 1, MaxBytes: store.LeastPerShard, MaxDialogs: 1, reserve: -1})
	a, b := call(1), call(2)
	a.Vars = strings.Repeat("v", 5000)
	b.Vars = a.Vars
	newer := a
	newer.Start++
	newer.Vars += strings.Repeat("v", 2000)
	got := fmt.Sprint(apply(t, table, epoch,
		snapshotEvent(t, Create, a), deleteEvent(t, a), snapshotEvent(t, Create, newer), snapshotEvent(t, Create, b)))
	if want := "[applied applied refused_memory applied]"; got != want {
		t.Errorf("outcomes %v, want %v", got, want)
	}
}

func TestMaxPerCall(t *testing.T) {
	table := newTable(t, Config{})
	one := func(n int) Details {
		return Details{CallID: "c", FromTag: fmt.Sprint(n), ToTag: "b", State: Answered, Timeout: epoch}
	}
	for n := range DefaultMaxPerCall {
		if got := apply(t, table, epoch, snapshotEvent(t, Create, one(n)))[0]; got != Applied {
			t.Fatalf("dialog %d: %v", n, got)
		}
	}
	got := fmt.Sprint(apply(t, table, epoch,
		snapshotEvent(t, Create, one(DefaultMaxPerCall)),
		deleteEvent(t, one(DefaultMaxPerCall)),
		deleteEvent(t, one(3)),
		snapshotEvent(t, Update, one(5))))
	if want := "[refused_call refused_call applied duplicate]"; got != want {
		t.Errorf("outcomes %v, want %v", got, want)
	}
}

func TestBodyTooLarge(t *testing.T) {
	table := newTable(t, Config{})
	d := call(1)
	d.Vars = strings.Repeat("v", MaxBody-len(d.AppendPacked(nil)))
	over := call(2)
	over.Vars = d.Vars + "v"
	if got := fmt.Sprint(apply(t, table, epoch, snapshotEvent(t, Create, d), snapshotEvent(t, Create, over))); got != "[applied refused_memory]" {
		t.Errorf("outcomes %v", got)
	}
	if udp := 65507 - 22; MaxBody < udp {
		t.Errorf("the largest dialog is %d bytes, but a datagram brings %d", MaxBody, udp)
	}
}

func TestConfigRefused(t *testing.T) {
	for _, c := range []Config{
		{Shards: -1}, {Shards: MaxShards + 1}, {MaxPerCall: -1}, {MaxDialogs: -1}, {MaxBytes: -1},
		{MaxBytes: 100}, {Tombstone: -time.Second}, {EarlyTimeout: -1},
	} {
		if table, err := NewTable(c); err == nil {
			table.Close()
			t.Errorf("%+v: no error", c)
		}
	}
}
