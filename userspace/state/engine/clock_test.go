package engine

import (
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1/bin1test"
)

// hands are a wall clock that can be set, and a monotonic one that can't.
type hands struct {
	wall    time.Time
	elapsed time.Duration
}

func (h *hands) pass(d time.Duration) { h.wall, h.elapsed = h.wall.Add(d), h.elapsed+d }

func TestClock(t *testing.T) {
	h := &hands{wall: time.Unix(testNow, 0)}
	c := newClock(func() time.Time { return h.wall }, func() time.Duration { return h.elapsed })
	check := func(what string, want int64, ahead time.Duration) {
		t.Helper()
		now, got := c.unix()
		if now-testNow != want || got.Round(time.Second) != ahead {
			t.Errorf("%s: %d s, wall %v ahead, want %d s and %v", what, now-testNow, got, want, ahead)
		}
	}
	check("at the start", 0, 0)
	h.pass(1000 * time.Second)
	check("as time goes by", 1000, 0)
	h.wall = h.wall.Add(time.Hour)
	check("at a jump", 1000, time.Hour)
	h.pass(1000 * time.Second)
	check("after it", 2010, time.Hour-10*time.Second)
	h.wall = h.wall.Add(-2 * time.Hour)
	h.pass(1000 * time.Second)
	check("after a jump back", 3000, -time.Hour)
	for range 400 {
		h.pass(1000 * time.Second)
		c.unix()
	}
	check("in the end", 400_000+3000-3600, 0)
}

// TestJumpExpiresNothing sets the wall clock a day ahead, and back by two: what has time stays, what hasn't goes.
func TestJumpExpiresNothing(t *testing.T) {
	h := &hands{wall: time.Unix(testNow, 0)}
	r := newRig(t, 1, func(c *Config) {
		c.Now, c.Elapsed = func() time.Time { return h.wall }, func() time.Duration { return h.elapsed }
	})
	proxy := bin1test.NewProxy(1, bin1test.Options{Now: testNow, Lifetime: 3600})
	const calls = 50
	r.start(t)
	for n := range uint64(calls) {
		r.sources[0].Feed(from("192.0.2.7:5555", 0, proxy.AppendPacket(nil, n, bin1test.Create)))
	}
	r.finish(t)
	live := func() int {
		r.Expire()
		s := r.Status()
		return s.Table.Live()
	}
	for _, jump := range []time.Duration{24 * time.Hour, -48 * time.Hour, 365 * 24 * time.Hour} {
		h.wall = h.wall.Add(jump)
		h.pass(time.Minute)
		if n := live(); n != calls {
			t.Fatalf("after a jump of %v %d dialogs are left of %d", jump, n, calls)
		}
	}
	if s := r.Status(); s.ClockAhead < 300*24*time.Hour {
		t.Errorf("the wall clock is %v ahead", s.ClockAhead)
	}
	h.pass(time.Hour + dialog.DefaultExpiryGrace)
	if n := live(); n != 0 {
		t.Errorf("%d dialogs outlive their timeout", n)
	}
}
