package statuspage

import (
	"encoding/json"
	"net/netip"
	"sync"
	"testing"
	"time"

	"binrepd/userspace/watch/control"
)

// TestViewersShareAStatus: for any number of viewers and both encodings, one status a second is taken.
func TestViewersShareAStatus(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	a := empty(now)
	c := a.config()
	c.Bound, c.Now = netip.MustParseAddrPort("127.0.0.1:9470"), func() time.Time { return now }
	h := Handler(c)
	ask := func() {
		var viewers sync.WaitGroup
		for i := range 50 {
			viewers.Go(func() {
				var fields []string
				if i%2 == 0 {
					fields = []string{"Accept-Encoding", "gzip"}
				}
				if resp := get(h, "GET", "/api/status", fields...); resp.StatusCode != 200 {
					t.Error(resp.Status)
				}
			})
		}
		viewers.Wait()
	}
	for _, step := range []struct {
		later time.Duration
		want  int
	}{
		{0, 1}, {999 * time.Millisecond, 1}, {time.Millisecond, 2}, {time.Second - 1, 2}, {time.Hour, 3},
		{-2 * time.Hour, 4}, // the clock was set back
		{time.Millisecond, 4},
	} {
		now = now.Add(step.later)
		if ask(); a.taken != step.want {
			t.Errorf("%d statuses taken after %s more, want %d", a.taken, step.later, step.want)
		}
	}
}

// TestStatusIsFresh: the status is at most a second old, in both encodings.
func TestStatusIsFresh(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	a := empty(now)
	s := &snapshot{take: a.take, now: func() time.Time { return now }}
	for i := range uint64(3) {
		a.change(now, func(s *control.Status) { s.Dialogs = i })
		for _, packed := range []bool{true, false, true} {
			b, err := s.encoded(packed)
			if err != nil {
				t.Fatal(err)
			}
			if packed {
				continue
			}
			var got control.Status
			if err := json.Unmarshal(b, &got); err != nil || got.Dialogs != i {
				t.Errorf("%d dialogs, want %d: %v", got.Dialogs, i, err)
			}
		}
		now = now.Add(freshFor)
	}
}
