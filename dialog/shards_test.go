package dialog

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// Shards work at once and pass chunks to each other, while other goroutines expire and count. They don't touch each
// other's dialogs.
func TestShardsAtOnce(t *testing.T) {
	const workers = 4
	table := newTable(t, Config{Shards: workers, MaxBytes: 48 << 20, MaxDialogs: 20000})
	var clock sync.WaitGroup
	stop := make(chan struct{})
	clock.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if gone := table.Expire(epoch + 64); gone.Live != 0 {
					t.Errorf("%d live dialogs expired", gone.Live)
				}
				table.Counts()
			}
		}
	})
	var work sync.WaitGroup
	live := make([]map[string]Details, workers)
	for w := range workers {
		live[w] = make(map[string]Details)
		work.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 2))
			hash := uint32(w) << 30
			play := func(ev *Event) Outcome {
				ev.Hash = hash
				s := table.Lock(table.ShardOf(hash))
				defer s.Unlock()
				s.Apply([]*Event{ev}, epoch)
				return ev.Outcome
			}
			for step := range 12_000 {
				// Sizes change over time, so that chunks move from one class and shard to another.
				size := 100 << (step / 2000 % 4) * (1 + w)
				id := fmt.Sprint(w, " ", rng.IntN(1000))
				d := Details{CallID: id, FromTag: "a", State: Answered, Start: uint32(step + 1), Timeout: epoch + 9999, Vars: strings.Repeat("v", rng.IntN(size))}
				_, known := live[w][id]
				var got Outcome
				if known && rng.IntN(2) == 0 {
					got = play(deleteEvent(t, d))
					delete(live[w], id)
				} else {
					got = play(snapshotEvent(t, Create, d))
					live[w][id] = d
				}
				if got != Applied {
					t.Errorf("%s: %v", id, got)
					return
				}
			}
		})
	}
	work.Wait()
	close(stop)
	clock.Wait()
	for w := range workers {
		for id, d := range live[w] {
			found := 0
			table.Get(uint32(w)<<30, []byte(id), func(v *View) bool {
				if found++; v.Body().Details() != d {
					t.Errorf("%s changed", id)
				}
				return true
			})
			if found != 1 {
				t.Fatalf("%s found %d times", id, found)
			}
		}
	}
}
