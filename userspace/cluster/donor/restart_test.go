package donor_test

import (
	"os"
	"testing"
	"time"

	"binrepd/userspace/cluster/donor/donortest"
)

// TestRestarts restarts a node of each release under load, many times, with live events that come at other times and in
// another order here than there. Each time it has all calls, as they are, and no other.
func TestRestarts(t *testing.T) {
	for _, r := range donortest.Releases() {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, r, 7)
			restarts := 8
			if os.Getenv("BINREPD_CHAOS") == "1" {
				restarts = 100
			}
			for i := range restarts {
				// The links change: now this node is behind, now the requester.
				w.lateHere = time.Duration(1+w.rng.IntN(800)) * time.Millisecond
				w.lateThem = time.Duration(1+w.rng.IntN(200)) * time.Millisecond
				w.load(4*time.Second, 100)
				w.pass(time.Second)
				w.restart(time.Duration(w.rng.IntN(1000))*time.Millisecond, func() { w.serve(w.config()) })
				w.pass(5 * time.Second) // the load ends 2 s before
				for !w.run.Done() {
					w.pass(time.Second)
				}
				missing, ghosts, different := w.compare()
				for name := range w.q.Dialogs {
					if w.truth[name] == nil {
						t.Logf("%s is a ghost; the donor has it %s", name, w.donorHas(name))
					}
				}
				if missing+ghosts+different > 0 || !w.q.Synced || len(w.q.Malformed) > 0 || w.q.Reset {
					t.Fatalf("restart %d: of %d calls %d missing, %d ghosts, %d different; synced %v, reset %v, %v\n%+v", i, len(w.truth), missing, ghosts, different,
						w.q.Synced, w.q.Reset, w.q.Malformed, w.run.Summary())
				}
				w.tails = nil
				for len(w.names) > 300 {
					w.end(w.rng.IntN(len(w.names)))
				}
			}
		})
	}
}

// TestWeaknesses shows what OpenSIPS's own way of answering does to the model, and that ours doesn't.
func TestWeaknesses(t *testing.T) {
	ghosts, different := map[bool]int{}, map[bool]int{}
	for _, plain := range [...]bool{true, false} {
		w := newWorld(t, donortest.Releases()[4], 3)
		for range 5 {
			w.lateHere, w.lateThem = 400*time.Millisecond, 2*time.Millisecond
			w.load(4*time.Second, 100)
			w.pass(time.Second)
			w.restart(100*time.Millisecond, func() {
				cfg := w.config()
				if cfg.Plain = plain; plain {
					cfg.Rate = 0
				}
				w.serve(cfg)
			})
			for w.pass(5 * time.Second); !w.run.Done(); {
				w.pass(time.Second)
			}
			_, g, d := w.compare()
			ghosts[plain] += g
			different[plain] += d
		}
	}
	if ghosts[true] == 0 || ghosts[false] != 0 {
		t.Errorf("W1: ghosts with the plain donor %d, with ours %d", ghosts[true], ghosts[false])
	}
	if different[true] == 0 || different[false] != 0 {
		t.Errorf("W5: calls with old values with the plain donor %d, with ours %d", different[true], different[false])
	}
}
