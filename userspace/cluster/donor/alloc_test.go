package donor_test

import (
	"testing"
	"time"

	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/donor/donortest"
)

// TestNoAllocations: a run allocates nothing for a dialog, in the layout in which it is held and in another one.
func TestNoAllocations(t *testing.T) {
	release := donortest.Releases()[4] // 3.6
	for _, to := range [...]layout.ID{release.Layout, layout.Bin1TwoSDP, layout.Bin5} {
		w := newWorld(t, release, 1)
		const calls = 12_000
		for n := range calls {
			w.apply(w.packet(layout.Created, w.body(n, 4, socket)))
		}
		cfg := w.config()
		cfg.Rate, cfg.Peer.Layout = 0, to
		run := donor.NewRun(w.now, cfg)
		sink := func([]byte) error { return nil }
		step := func() {
			if _, err := run.Step(w.now, 1<<30, sink); err != nil {
				t.Fatal(err)
			}
		}
		for run.Summary().Dialogs < calls/3 {
			step()
		}
		if n := testing.AllocsPerRun(20, step); n > 0 {
			t.Errorf("%v to %v: %v allocations in a step of 256 dialogs", release.Layout, to, n)
		}
		if run.Done() || run.Summary().Told {
			t.Error("the run ended before the measurement did")
		}
		for now := w.now; !run.Done(); now = now.Add(time.Second) {
			if _, err := run.Step(now, 1<<30, sink); err != nil {
				t.Fatal(err)
			}
		}
		if s := run.Summary(); s.Dialogs != calls {
			t.Errorf("%d dialogs sent, want %d; held back: %v", s.Dialogs, calls, s.Held)
		}
	}
}
