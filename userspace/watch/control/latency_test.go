package control

import (
	"testing"
	"time"

	"binrepd/userspace/state/engine"
)

// TestRecentLatency: a standstill leaves the recent latency after five minutes, and never the one since the start (fault 27).
func TestRecentLatency(t *testing.T) {
	start := time.Unix(testNow, 0)
	var h History
	var of engine.Histogram
	of.Observe(int64(53 * time.Second))
	for second := range 601 {
		now := start.Add(time.Duration(second) * time.Second)
		of.Observe(int64(100 * time.Microsecond))
		s := statusWith(1, now)
		s.Started = start
		copied := of
		s.SetLatency(&copied)
		h.Complete(now, s)
		h.Sample(now, s)
		if s.Latency.Max != 53e6 {
			t.Fatalf("second %d: %v since the start", second, s.Latency)
		}
		spoiled := s.LatencyRecent.Max > 200
		if want := second < 300; spoiled != want {
			t.Fatalf("second %d: %v in the last %v s", second, s.LatencyRecent, s.LatencyWindow)
		}
		if s.LatencyWindow > 311 || second > 320 && s.LatencyWindow < 290 {
			t.Fatalf("second %d: a window of %v s", second, s.LatencyWindow)
		}
	}
}

func TestLatencyText(t *testing.T) {
	l := LatencyStatus{P50: 98, P99: 3146, P999: 36_400, Max: 53_000_000}
	if got, want := l.String(), "p50 98 us, p99 3.1 ms, p99.9 36 ms, max 53.0 s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
