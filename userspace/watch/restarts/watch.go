package restarts

import (
	"math"
	"sync"
	"time"

	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/engine"
)

const (
	// shortest is the shortest silence that is noticed: the table has times in seconds, and must tell before from
	// after. In a silence longer than longest, most older calls have ended anyway.
	shortest, longest = 2 * time.Second, 15 * time.Minute
	// unusual is how many events must be missing in a silence to make it suspicious. By chance that happens once in
	// e^20.
	unusual = 20
	// fewest is how many calls must have ended before the silence, and how many must have begun since.
	fewest = 10
	// missing is how many ends of older calls must be missing. By chance that happens once in e^12.
	missing = 12
	// memory is the time over which rates are measured, in steps of slot.
	memory, slot = 5 * time.Minute, 10 * time.Second
	// patience is how long after a silence the suspicion ends.
	patience = 10 * time.Minute
	// firstLook is the time from the silence to the first look at the table. Each further one takes twice as long.
	firstLook = 2 * time.Second
)

// Restart is what is known of the restarts of a source.
type Restart struct {
	Sender packets.Sender
	Count  int // since the start of this process
	// Before is a time, in whole seconds, between the last event before the restart and the first one after it.
	Before time.Time
	Silent time.Duration
	Left   int // dialogs from before it that were in the table when it was noticed
}

// Watch detects restarts. The zero value is ready. It is safe for concurrent use.
type Watch struct {
	mu      sync.Mutex
	sources map[packets.Sender]*source
}

// source is one source.
type source struct {
	now     engine.SourceStatus // at the last sample
	at      time.Time           // of the last sample
	marks   []mark              // oldest first
	quiet   bool                // nothing came between the last two samples
	suspect *suspect
	restart Restart
	seen    bool // in this round
}

// mark is what a source had sent at a time.
type mark struct {
	at            time.Time
	events, ended uint64
}

// suspect is a source after a suspicious silence.
type suspect struct {
	sender   packets.Sender
	from, to time.Time // the silence
	ends     float64   // calls that ended in a second before it
	created  uint64    // before it
	skew     time.Duration
	looks    int
	left     int       // findings.left of the first look
	next     time.Time // when to look
	wait     time.Duration
	findings findings
}

// border is the Unix second that divides what the source sent before the silence, this second included, from what it
// sent after it.
func (s *suspect) border() int64 { return s.from.Add(s.to.Sub(s.from) / 2).Unix() }

// Sample takes the counters of all sources. Call it about once a second. It reports whether it is time for a Look.
func (w *Watch) Sample(now time.Time, list []engine.SourceStatus) (due bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sources == nil {
		w.sources = map[packets.Sender]*source{}
	}
	for i := range list {
		s := &list[i]
		if s.Sender == (packets.Sender{}) || s.Sender.Node != 0 { // a cluster tells of restarts itself
			continue
		}
		src := w.sources[s.Sender]
		if src == nil {
			src = &source{restart: Restart{Sender: s.Sender}}
			w.sources[s.Sender] = src
		}
		src.seen = true
		src.sample(now, s)
		due = due || src.due(now)
	}
	for sender, src := range w.sources {
		if !src.seen {
			delete(w.sources, sender)
		}
		src.seen = false
	}
	return due
}

func (src *source) sample(now time.Time, s *engine.SourceStatus) {
	was, at := src.now, src.at
	src.now, src.at = *s, now
	switch {
	case at.IsZero() || s.Events < was.Events || s.Ended < was.Ended:
		src.marks, src.quiet, src.suspect = []mark{{now, s.Events, s.Ended}}, false, nil
		return
	case s.Events == was.Events:
		src.quiet = true
		return
	case src.quiet:
		src.resumed(&was, at)
	}
	src.quiet = false
	if last := len(src.marks) - 1; now.Sub(src.marks[last].at) >= slot {
		src.marks = append(src.marks, mark{now, s.Events, s.Ended})
	}
	for len(src.marks) > 1 && now.Sub(src.marks[0].at) > memory {
		src.marks = src.marks[1:]
	}
}

// resumed judges a silence that has ended. The last sample in it was taken at the time to.
func (src *source) resumed(was *engine.SourceStatus, to time.Time) {
	silence := to.Sub(was.Last)
	base := src.marks[0]
	seconds := max(was.Last.Sub(base.at).Seconds(), 1)
	events, ended := was.Events-base.events, was.Ended-base.ended
	if silence < shortest || silence > longest || ended < fewest || float64(events)/seconds*silence.Seconds() < unusual {
		return
	}
	src.suspect = &suspect{
		sender: was.Sender, from: was.Last, to: to, ends: float64(ended) / seconds, created: was.Created,
		wait: firstLook, next: to.Add(firstLook),
	}
	if was.Skew != nil {
		src.suspect.skew = *was.Skew
	}
}

func (src *source) due(now time.Time) bool {
	s := src.suspect
	if s == nil {
		return false
	}
	if now.Sub(s.to) > patience {
		src.suspect = nil
		return false
	}
	return (s.looks == 0 || src.now.Created-s.created >= fewest) && !now.Before(s.next)
}

// Of returns what is known of a source; ok is false if no restart is.
func (w *Watch) Of(sender packets.Sender) (r Restart, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if src := w.sources[sender]; src != nil && src.restart.Count > 0 {
		return src.restart, true
	}
	return r, false
}

// verdict on a suspect.
type verdict int

const (
	unknown verdict = iota
	acquitted
	restarted
)

// judge decides about the suspect by what was found in the table.
func (src *source) judge(now time.Time) verdict {
	s, f := src.suspect, &src.suspect.findings
	if s.looks++; s.looks == 1 {
		s.left = f.left
	}
	// A few of the older calls may have expired. Ends that are no longer remembered show by what is left.
	if f.touched > 0 || f.left < s.left-2-s.left/100 {
		return acquitted
	}
	if src.now.Created-s.created < fewest {
		return unknown
	}
	anew, continued := f.numbers()
	if continued > 0 && 4*continued >= anew {
		return acquitted
	}
	// Ends come at the rate of before at first, and at a lower one as fewer of the calls are left.
	due := 0.0
	if f.young > 0 {
		young := float64(f.young)
		due = young * (1 - math.Exp(-s.ends*now.Sub(s.to).Seconds()/young))
	}
	if due >= missing || anew >= 3 && continued == 0 && due >= missing/4 {
		return restarted
	}
	return unknown
}
