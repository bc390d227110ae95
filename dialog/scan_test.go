package dialog

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// Dialogs that live throughout are visited exactly once in each scan, while others come and go, and while these change
// size and so move in memory.
func TestScanMissesNothing(t *testing.T) {
	table := newTable(t, Config{Shards: 2})
	const residents = 3000
	resident := func(n, size int) Details {
		return Details{CallID: fmt.Sprint("resident ", n), FromTag: "a", ToTag: "b", State: Confirmed, Vars: strings.Repeat("v", size), Timeout: epoch + 9999}
	}
	for n := range residents {
		apply(t, table, epoch, snapshotEvent(t, Create, resident(n, n%700)))
	}
	stop := make(chan struct{})
	var changes sync.WaitGroup
	for worker := range 2 {
		changes.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(worker), 1))
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				guest := Details{CallID: fmt.Sprint("guest ", worker, rng.IntN(20000)), FromTag: "a", State: Answered, Timeout: epoch + 50}
				apply(t, table, epoch, snapshotEvent(t, Create, guest))
				apply(t, table, epoch, snapshotEvent(t, Update, resident(rng.IntN(residents), rng.IntN(700))))
				if n%3 == 0 {
					apply(t, table, epoch, deleteEvent(t, guest))
				}
				if n%5000 == 0 {
					table.Expire(epoch + 100) // tombstones, for there are few others due
				}
			}
		})
	}
	for range 20 {
		seen, guests := make(map[string]int), 0
		var cur Cursor
		for more := true; more; {
			step := 0
			more = table.Scan(&cur, func(v *View) {
				step++
				if id, _ := v.Key().Part(); strings.HasPrefix(string(id), "resident") {
					seen[string(id)]++
				} else {
					guests++
				}
			})
			if step > ScanMost {
				t.Errorf("%d entries in one step", step)
			}
		}
		for n := range residents {
			if id := resident(n, 0).CallID; seen[id] != 1 {
				t.Fatalf("%s visited %d times", id, seen[id])
			}
		}
	}
	close(stop)
	changes.Wait()
}

// One step stays bounded even if each Call-ID has many dialogs.
func TestScanStepIsBounded(t *testing.T) {
	table := newTable(t, Config{Shards: 1})
	const calls, each = 100, 100
	for n := range calls {
		for k := range each {
			apply(t, table, epoch, snapshotEvent(t, Create, Details{CallID: fmt.Sprint(n), FromTag: fmt.Sprint(k), State: Answered}))
		}
	}
	var cur Cursor
	sum, steps := 0, 0
	for more := true; more; steps++ {
		step := 0
		more = table.Scan(&cur, func(*View) { step++ })
		if sum += step; step > ScanMost {
			t.Errorf("%d entries in one step", step)
		}
	}
	if sum != calls*each {
		t.Errorf("%d entries, want %d", sum, calls*each)
	}
	if steps < sum/ScanMost {
		t.Errorf("%d steps", steps)
	}
	if table.Scan(&cur, func(*View) { t.Error("an entry after the end") }) {
		t.Error("more after the end")
	}
}

// Get ends when its function returns false.
func TestGetStops(t *testing.T) {
	table := newTable(t, Config{})
	for _, tag := range []string{"x", "y", "z"} {
		apply(t, table, epoch, snapshotEvent(t, Create, Details{CallID: "c", FromTag: tag, State: Answered}))
	}
	visits := 0
	table.Get(steer("c"), []byte("c"), func(*View) bool { visits++; return visits < 2 })
	if visits != 2 {
		t.Errorf("%d visits, want 2", visits)
	}
	table.Get(steer("c"), []byte("C"), func(*View) bool { t.Error("got a dialog of another Call-ID"); return false })
}

// TestScanStepIsBoundedInBytes scans dialogs of the largest size (fault 14).
func TestScanStepIsBoundedInBytes(t *testing.T) {
	table := newTable(t, Config{Shards: 1})
	const calls = 200
	vars := strings.Repeat("v", 60_000)
	for n := range calls {
		apply(t, table, epoch, snapshotEvent(t, Create, Details{CallID: fmt.Sprint(n), FromTag: "a", State: Answered, Vars: vars}))
	}
	var cur Cursor
	sum := 0
	for more := true; more; {
		size := 0
		more = table.Scan(&cur, func(v *View) { size += len(v.Body()); sum++ })
		if size > ScanBytes {
			t.Errorf("%d bytes in one step", size)
		}
	}
	if sum != calls {
		t.Errorf("%d dialogs, want %d", sum, calls)
	}
}
