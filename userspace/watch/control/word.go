package control

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Word is the overall state in one word.
type Word string

const (
	Ready  Word = "READY"  // sources send, and nothing is lost
	Idle   Word = "IDLE"   // no source has been seen yet
	Stale  Word = "STALE"  // a source that counts is silent
	Losing Word = "LOSING" // something was lost within the last minute, other than by the limit on a source
	// Incomplete: dialogs of a cluster are missing, because no sync could be completed.
	Incomplete Word = "INCOMPLETE"
)

// ExitStatus is the exit status of `binrepd status --check`.
func (w Word) ExitStatus() int {
	switch w {
	case Ready, Idle:
		return 0
	case Stale:
		return 3
	case Losing:
		return 4
	case Incomplete:
		return 5
	}
	return 1
}

const (
	// lossWindow is how long a loss affects the word.
	lossWindow = time.Minute
	// rateWindow is the time over which rates are averaged.
	rateWindow = 10 * time.Second
	// retired is how long a source must be silent to count as taken out of service. It no longer makes the word STALE
	// then, unless it is expected.
	retired = 24 * time.Hour
	// rateLimited is a reason of loss that doesn't affect the word. The limit protects all sources from one of them,
	// and anybody can exceed it, from any address. If this changed the word, a stranger could take the replica out of
	// service.
	rateLimited = "rate_limited"
)

// History keeps the counters of the last minute, so that a Status can show rates, recent losses and the growth of the
// table. It is safe for concurrent use.
type History struct {
	// StaleAfter is how long a source may be silent; 0 means for ever.
	StaleAfter time.Duration

	mu      sync.Mutex
	samples []sample // oldest first, one a second, up to lossWindow
	fills   fills
	latency latencies
}

type sample struct {
	at     time.Time
	losses map[string]uint64
	events map[string]uint64 // by source
}

// Sample records the counters of s. Call it about once a second.
func (h *History) Sample(now time.Time, s *Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fills.sample(now, s)
	h.latency.sample(now, s)
	if len(h.samples) == 0 && !s.Started.IsZero() {
		h.samples = append(h.samples, sample{at: s.Started}) // nothing was lost before
	}
	h.samples = append(h.samples, newSample(now, s))
	// One sample that is older than the window stays. The window is compared with it.
	for len(h.samples) > 2 && now.Sub(h.samples[1].at) >= lossWindow {
		h.samples = h.samples[1:]
	}
}

func newSample(now time.Time, s *Status) sample {
	p := sample{at: now, losses: s.Losses(), events: make(map[string]uint64, len(s.Sources))}
	for _, src := range s.Sources {
		p.events[src.Address] = src.Events
	}
	return p
}

// Losses returns everything that made the replica or one of its backups incomplete since the start of the process.
func (s *Status) Losses() map[string]uint64 {
	sum := map[string]uint64{}
	for reason, n := range s.Lost {
		sum[reason] = n
	}
	for _, reason := range []string{"refused_memory", "refused_call"} {
		sum[reason] = s.Rejected[reason]
	}
	for _, d := range s.Destinations {
		sum["queue of "+d.Address] = d.Dropped
		sum["sending to "+d.Address] = d.Lost
	}
	for _, i := range s.Interfaces {
		sum["interface "+i.Name] = i.Lost
	}
	for i := range s.Clusters {
		s.Clusters[i].losses(sum)
	}
	return sum
}

// Complete sets the rates, the word and the problems of s, which was taken at now. Call it once for each Status.
func (h *History) Complete(now time.Time, s *Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rates(now, s)
	s.FullIn = h.fills.fullIn(now, s)
	h.latency.recent(now, s)
	s.Word, s.Reason = h.word(now, s)
	s.findProblems(now)
	if s.Problems == nil {
		s.Problems = []Problem{}
	}
}

func (h *History) word(now time.Time, s *Status) (Word, string) {
	cluster, why := h.clusterWord(now, s)
	if !heard(s) {
		if cluster != Ready {
			return cluster, why
		}
		silent := now.Sub(s.Started)
		if h.StaleAfter > 0 && silent >= h.StaleAfter && len(s.Sources) > 0 && s.Dialogs > 0 && s.restored() {
			return Stale, fmt.Sprintf("no source has been heard for %s, since the start", silent.Truncate(time.Second))
		}
		if missing := h.missing(now, s); missing != "" {
			return Stale, missing
		}
		return Idle, "no source has been seen yet"
	}
	if len(h.samples) > 0 {
		base := h.since(now, lossWindow)
		before, after := base.losses, s.Losses()
		for _, reason := range slices.Sorted(maps.Keys(after)) {
			if reason == rateLimited {
				continue
			}
			if n := after[reason] - min(before[reason], after[reason]); n > 0 {
				return Losing, fmt.Sprintf("%d lost within %s: %s", n, min(now.Sub(base.at), lossWindow).Round(time.Second), reason)
			}
		}
	}
	if cluster != Ready {
		return cluster, why
	}
	if missing := h.missing(now, s); missing != "" {
		return Stale, missing
	}
	return Ready, ""
}

// restored reports whether the table is one that an earlier process of this appliance had received.
func (s *Status) restored() bool { return s.State != nil && !s.State.Restored.IsZero() }

// missing says which source that counts is silent; "" if none is. After a start each has StaleAfter to send something.
func (h *History) missing(now time.Time, s *Status) string {
	if h.StaleAfter <= 0 {
		return ""
	}
	for i := range s.Sources {
		src := &s.Sources[i]
		if !src.Counts || src.node { // a node is judged with its cluster
			continue
		}
		heard := src.Last
		if s.Started.After(heard) {
			heard = s.Started
		}
		if now.Sub(heard) < h.StaleAfter {
			continue
		}
		switch silent := now.Sub(src.Last); {
		case src.Last.IsZero():
			return fmt.Sprintf("source %s, which is expected, has never been heard", src.Address)
		case src.Expected || silent < retired:
			return fmt.Sprintf("source %s has been silent for %s", src.Address, silent.Truncate(time.Second))
		}
	}
	return ""
}

// heard reports whether any source has sent a good packet. Sources that sent only refused packets, or that are known
// only from a file, don't count.
func heard(s *Status) bool {
	return slices.ContainsFunc(s.Sources, func(src SourceStatus) bool { return src.Events > 0 })
}

// rates sets the events a second of each source, averaged over the last seconds.
func (h *History) rates(now time.Time, s *Status) {
	if len(h.samples) == 0 {
		return
	}
	before := h.since(now, rateWindow)
	seconds := now.Sub(before.at).Seconds()
	if seconds <= 0 {
		return
	}
	for i := range s.Sources {
		src := &s.Sources[i]
		src.Rate = float64(src.Events-min(before.events[src.Address], src.Events)) / seconds
	}
	for i := range s.Clusters {
		for k := range s.Clusters[i].Nodes {
			n := &s.Clusters[i].Nodes[k]
			n.Rate = float64(n.Events-min(before.events[n.address], n.Events)) / seconds
		}
	}
}

// since returns the newest sample that is at least that old, or the oldest one.
func (h *History) since(now time.Time, age time.Duration) sample {
	found := h.samples[0]
	for _, p := range h.samples {
		if now.Sub(p.at) < age {
			break
		}
		found = p
	}
	return found
}
