package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func newSet(t testing.TB, c Config) *Shards[set] {
	t.Helper()
	table, err := New(c, setModel)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	return table
}

func TestConfigRefused(t *testing.T) {
	for _, c := range []Config{
		{Shards: -1}, {Shards: MaxShards + 1}, {MaxBytes: -1}, {MaxBytes: 100}, {Shards: 3, MaxBytes: 3*LeastPerShard - 1},
	} {
		if table, err := New(c, setModel); err == nil {
			table.Close()
			t.Errorf("%+v: no error", c)
		}
	}
}

// TestMemoryHoldsUpNobody: the sizes are read while locks are held.
func TestMemoryHoldsUpNobody(t *testing.T) {
	table := newSet(t, Config{Shards: 2, MaxBytes: 8 << 20})
	table.Lock(0)
	table.arena.mu.Lock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if dealt, mapped, limit := table.Memory(); dealt != 2*chunkSize || mapped < dealt || limit != 8<<20 {
			t.Errorf("%d dealt, %d mapped, limit %d", dealt, mapped, limit)
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute): // no measure of speed
		t.Error("Memory waits for a lock that a change takes")
	}
	table.arena.mu.Unlock()
	table.At(0).part.Unlock()
	<-done
}

// New entries leave the reserve to those that exist. These may use all there is.
func TestReserve(t *testing.T) {
	const limit = 32 * chunkSize
	for _, c := range []struct{ reserve, want int }{
		{0, 4 * chunkSize}, {-1, 0}, {10 * chunkSize, 10 * chunkSize}, {chunkSize/2 + 1, chunkSize},
	} {
		table := newSet(t, Config{Shards: 1, MaxBytes: limit, Reserve: c.reserve})
		s := &table.Lock(0).part
		tag := uint32(0)
		for s.Insert(&Spot{At: -1}, tag<<20, 1000) != 0 {
			tag++
		}
		if dealt, _, _ := table.Memory(); limit-dealt != c.want {
			t.Errorf("reserve %d: %d bytes left, want %d", c.reserve, limit-dealt, c.want)
		}
		at, r := s.Lookup(0)
		sp := Spot{At: at, First: r, Entry: r}
		if got := s.Resize(&sp, 2000, HeaderSize); got != (c.want > 0) {
			t.Errorf("reserve %d: an entry may grow: %v", c.reserve, got)
		}
		s.Unlock()
	}
}

// TestScanWhileItGrowsAndShrinks steps through scans while the index splits and merges between the steps. Entries that
// stay are visited exactly once, and a step never has more entries than promised.
func TestScanWhileItGrowsAndShrinks(t *testing.T) {
	table := newSet(t, Config{Shards: 2})
	const stay, guests = 2_000, 30_000
	shardOf := func(n int) int { return n % table.Len() }
	add := func(key string, n int, deadline uint32) {
		s := table.Lock(shardOf(n))
		if !s.add([]byte(key), deadline) {
			t.Fatal("no memory")
		}
		s.part.Unlock()
	}
	for n := range stay {
		add(fmt.Sprint("stay ", n), n, MaxDeadline)
	}
	var smallest, largest int // pages
	rng := rand.New(rand.NewPCG(7, 8))
	next, now := 0, int64(1)
	for range 6 {
		seen := make(map[string]int)
		var cur Cursor
		growing := true
		for more, steps := true, 0; more; steps++ {
			entries := 0
			more = table.Scan(&cur, func(_ *set, e Entry) {
				entries++
				if key := string(e[atKey : atKey+int(e[HeaderSize])]); key[0] == 's' {
					seen[key]++
				}
			})
			if entries > ScanMost {
				t.Errorf("%d entries in one step", entries)
			}
			// Every few steps the guests all leave, or come by the thousand.
			if growing = rng.IntN(4) > 0; growing {
				for range guests / 10 {
					add(fmt.Sprint("guest ", next), next, uint32(now)+1)
					next++
				}
			} else {
				now += 2
				table.Expire(now, func(s *set, _ Entry) { s.keys-- })
			}
			pages := len(table.At(0).part.index.pages)
			if smallest == 0 {
				smallest = pages
			}
			smallest, largest = min(smallest, pages), max(largest, pages)
			if steps > 10_000 {
				t.Fatal("the scan doesn't end")
			}
		}
		for n := range stay {
			if key := fmt.Sprint("stay ", n); seen[key] != 1 {
				t.Fatalf("%s visited %d times", key, seen[key])
			}
		}
	}
	if largest < 4*smallest {
		t.Errorf("%d to %d pages: the index didn't grow and shrink", smallest, largest)
	}
}

// TestQuota: shards lend a limit to each other, and never take more than it.
func TestQuota(t *testing.T) {
	const limit, shards = 1000, 4
	pool := NewPool(limit, shards)
	var quotas [shards]Quota
	var taken [shards]int
	for i := range quotas {
		quotas[i] = pool.Quota()
	}
	rng := rand.New(rand.NewPCG(9, 10))
	sum := 0
	for step := range 100_000 {
		i := rng.IntN(shards)
		if up := step/10_000%2 == 0; up == (rng.IntN(4) > 0) {
			if quotas[i].Take() {
				taken[i]++
				sum++
			} else if sum < limit-limit/8 {
				t.Fatalf("refused with %d of %d taken", sum, limit)
			}
		} else if taken[i] > 0 {
			quotas[i].Give()
			taken[i]--
			sum--
		}
		if sum > limit {
			t.Fatalf("%d taken of %d", sum, limit)
		}
	}
	none := NewPool(0, shards).Quota()
	for range limit {
		if !none.Take() {
			t.Fatal("a limit of 0 is none")
		}
	}
}
