package member

import (
	"testing"
	"time"
)

// TestCalm: the first syncs of a small table follow a gap at once. Those of a large one, and of a link that is lost again and
// again, keep their distance.
func TestCalm(t *testing.T) {
	times := Times{}
	times.complete()
	now := time.Unix(1_800_000_000, 0)
	f := &fill{times: times}
	// sync plays a complete sync with so many dialogs, and returns the wait from a gap right behind it to the next request.
	sync := func(dialogs int, byHand bool) time.Duration {
		t.Helper()
		if byHand {
			f.hasten(now, 0)
		} else {
			f.want(now, "a gap", 0)
			now = f.due
		}
		if !f.step(now, []int32{1}, nil) {
			t.Fatal("no sync began")
		}
		f.take(now, &part{source: 1, chunks: dialogs, end: true, total: int32(dialogs)})
		f.ended = nil
		if !f.last.Complete {
			t.Fatalf("%+v", f.last)
		}
		next := *f
		next.want(now, "a gap", 0)
		return next.due.Sub(now)
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
		if got := sync(60, false); got != want*time.Second {
			t.Errorf("after %d syncs: %s, want %d s", i+1, got, want)
		}
	}
	now = now.Add(calmFor)
	if got := sync(60, false); got != time.Second {
		t.Errorf("after a quiet minute: %s", got)
	}
	if got := sync(60, true); got != time.Second {
		t.Errorf("after one by hand: %s", got)
	}
	now = now.Add(calmFor)
	if got := sync(6000, false); got != 3*time.Second {
		t.Errorf("6,000 dialogs: %s", got)
	}
	if got := sync(1_000_000, false); got != DefaultPause {
		t.Errorf("1,000,000 dialogs: %s", got)
	}
}
