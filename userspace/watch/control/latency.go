package control

import (
	"time"

	"binrepd/userspace/state/engine"
)

const (
	// latencyWindow is the time of the recent latency: a standstill or a restart leaves it after that time, and the one
	// since the start never.
	latencyWindow = 5 * time.Minute
	latencyEvery  = 10 * time.Second
)

// latency is the histogram at one time.
type latency struct {
	at time.Time
	of engine.Histogram
}

// latencies are the samples of the last minutes, oldest first.
type latencies []latency

func (l *latencies) sample(now time.Time, s *Status) {
	list := *l
	if n := len(list); s.histogram == nil || n > 0 && now.Sub(list[n-1].at) < latencyEvery {
		return
	}
	list = append(list, latency{now, *s.histogram})
	for len(list) > 2 && now.Sub(list[1].at) >= latencyWindow {
		list = list[1:]
	}
	*l = list
}

// recent sets the latency of the last minutes.
func (l latencies) recent(now time.Time, s *Status) {
	if s.histogram == nil {
		return
	}
	base := latency{at: s.Started}
	if len(l) > 0 && now.Sub(s.Started) >= latencyWindow {
		base = l[0]
	}
	since := s.histogram.Since(&base.of)
	s.LatencyRecent, s.LatencyWindow = newLatency(&since), max(now.Sub(base.at).Seconds(), 0)
}
