package member

import (
	"fmt"
	"slices"
	"time"
)

// fill decides when to ask for a sync, whom, and how it went. It knows no connections and no clock. The Member's mutex
// guards it.
type fill struct {
	times Times

	// What is wanted. reason is empty if nothing is.
	reason string
	since  time.Time
	due    time.Time // not before
	from   int32     // only this node; 0: any
	gapped int32     // as first, and before it: packets of this node were lost
	first  int32     // this node, if it is a donor that hasn't failed; 0: any

	// force asks a node that is up where none announces complete data: a seed fills its table before it announces it.
	force bool

	run      run
	ended    *SyncResult // the sync that has just ended, and that nobody was told of
	last     SyncResult  // zero: none yet
	failures int         // in a row
	tried    []int32     // that failed since the last success
	nobody   time.Time   // since when a sync is wanted and nobody offers one
	complete time.Time   // when the last complete sync ended
	row      int         // complete syncs that nobody asked for by hand, with less than calmFor between them
	done     uint64
	failed   uint64
}

// run is a sync that has been requested.
type run struct {
	donor   int32 // 0: none runs
	reason  string
	byHand  bool
	began   time.Time
	heard   time.Time // from the donor
	chunks  int
	packets int
	bytes   int
	fault   string
	end     time.Time // when the end came; zero: not yet
	total   int32
}

// SyncResult is how a sync ended.
type SyncResult struct {
	Donor    int32     `json:"donor"`
	Reason   string    `json:"reason"` // why it was wanted
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended"`
	Complete bool      `json:"complete"`
	Chunks   int       `json:"chunks"` // that came
	// Announced is the number of chunks that the donor says it sent; -1 if it didn't say.
	Announced int32  `json:"announced"`
	Packets   int    `json:"packets"`
	Bytes     int    `json:"bytes"`
	Text      string `json:"text"` // in words
}

// want asks for a sync. from is the only node to ask, for an operator; 0 leaves the choice.
func (f *fill) want(now time.Time, reason string, from int32) {
	if f.reason == "" {
		f.reason, f.since = reason, now
		f.due = now.Add(f.times.Settle)
		if calm := f.last.Ended.Add(f.calm(now)); f.last.Complete && calm.After(f.due) {
			f.due = calm
		}
	}
	if from != 0 {
		f.from = from
	}
}

// Bounds of calm.
const (
	chunksPerSecond = 2000
	calmFor         = time.Minute
)

// calm returns the pause after the last sync, which was complete. Each sync makes the donor send one more packet for
// each dialog to every node of the cluster (spec bin-tcp, 3.7, W6). So syncs of a large table, and those of a link
// that is lost again and again, keep a distance of Times.Pause. The first ones of a small table don't have to.
func (f *fill) calm(now time.Time) time.Duration {
	if now.Sub(f.last.Ended) >= calmFor {
		f.row = 0
	}
	d := f.times.Settle
	for i := 1; i < f.row && d < f.times.Pause; i++ {
		d *= 2
	}
	return min(max(d, time.Duration(f.last.Chunks)*time.Second/chunksPerSecond), f.times.Pause)
}

// hasten makes a wanted sync due at once, for an operator.
func (f *fill) hasten(now time.Time, from int32) {
	f.want(now, byHand, from)
	f.reason, f.due, f.tried, f.failures = byHand, now, nil, 0
}

// byHand is the reason of syncs that an operator asked for.
const byHand = "asked for by an operator"

// expects tells whether packets of a sync from that node are welcome.
func (f *fill) expects(source int32) bool { return f.run.donor != 0 && f.run.donor == source }

// next returns when step has something to do; the zero time if only a packet can change that.
func (f *fill) next() time.Time {
	switch {
	case f.ended != nil:
		return time.Unix(0, 0)
	case f.run.donor == 0 && f.reason == "":
		return time.Time{}
	case f.run.donor == 0:
		return f.due
	case !f.run.end.IsZero():
		return f.run.end.Add(f.times.Overtake)
	}
	return f.run.heard.Add(f.times.Silence)
}

// step begins a sync, if one is due and a donor is there, and returns true then. It also ends one that takes too long.
// donors are the nodes that announce complete dialogs; up are all that are up.
func (f *fill) step(now time.Time, donors, up []int32) (begin bool) {
	if f.run.donor != 0 {
		f.judge(now)
		return false
	}
	if f.ended != nil || f.reason == "" || now.Before(f.due) {
		return false
	}
	donor := f.choose(donors, up)
	if donor == 0 {
		if f.nobody.IsZero() {
			f.nobody = now
		}
		f.due = now.Add(f.times.Settle)
		return false
	}
	f.run = run{donor: donor, reason: f.reason, byHand: f.reason == byHand, began: now, heard: now, total: -1}
	f.reason, f.from, f.nobody = "", 0, time.Time{}
	return true
}

// choose returns the donor to ask: one that hasn't failed before, or else the first again. 0: there is none. An
// operator may name a node that announces nothing.
func (f *fill) choose(donors, up []int32) int32 {
	if f.from != 0 {
		if slices.Contains(up, f.from) {
			return f.from
		}
		f.from = 0 // it went down meanwhile: any other will do
	}
	if f.force && len(donors) == 0 {
		donors = up
	}
	if len(donors) == 0 {
		return 0
	}
	if slices.Contains(donors, f.gapped) && !slices.Contains(f.tried, f.gapped) {
		return f.gapped
	}
	if slices.Contains(donors, f.first) && !slices.Contains(f.tried, f.first) {
		return f.first
	}
	for _, id := range donors {
		if !slices.Contains(f.tried, id) {
			return id
		}
	}
	f.tried = f.tried[:0]
	return donors[0]
}

// take counts a packet of a sync that was applied.
func (f *fill) take(now time.Time, p *part) {
	if f.run.donor == 0 || p.source != f.run.donor {
		return
	}
	r := &f.run
	r.heard = now
	r.packets++
	r.bytes += p.bytes
	r.chunks += p.chunks
	if r.fault == "" {
		r.fault = p.fault
	}
	if p.end {
		r.end, r.total = now, p.total
	}
	f.judge(now)
}

// judge ends the sync if it is known how it went.
func (f *fill) judge(now time.Time) {
	r := &f.run
	switch ended := !r.end.IsZero(); {
	case r.fault != "":
		f.fail(now, "a part of it can't be read: "+r.fault)
	case ended && r.total < 0, ended && r.chunks == int(r.total):
		f.finish(now, true, "")
	case ended && r.chunks > int(r.total):
		f.fail(now, fmt.Sprintf("it announced %d dialogs and sent %d", r.total, r.chunks))
	case ended && now.Sub(r.end) >= f.times.Overtake:
		f.fail(now, fmt.Sprintf("it announced %d dialogs and only %d came", r.total, r.chunks))
	case !ended && now.Sub(r.heard) >= f.times.Silence && r.packets == 0:
		f.fail(now, fmt.Sprintf("it didn't answer for %s", f.times.Silence))
	case !ended && now.Sub(r.heard) >= f.times.Silence:
		f.fail(now, fmt.Sprintf("it stopped after %d dialogs and was silent for %s", r.chunks, f.times.Silence))
	}
}

// fail ends the sync that runs. Another one is wanted then, for the same reason, of another node if there is one.
func (f *fill) fail(now time.Time, why string) {
	r := f.run
	f.finish(now, false, why)
	f.failures++
	f.tried = append(f.tried, r.donor)
	if f.reason == "" {
		f.reason, f.since = r.reason, r.began
	}
	f.due = now.Add(f.pause())
}

// pause returns the pause after the last failure.
func (f *fill) pause() time.Duration {
	d := f.times.RetryMin
	for i := 1; i < f.failures && d < f.times.RetryMax; i++ {
		d *= 2
	}
	return min(d, f.times.RetryMax)
}

func (f *fill) finish(now time.Time, complete bool, why string) {
	r := &f.run
	s := SyncResult{Donor: r.donor, Reason: r.reason, Began: r.began, Ended: now, Complete: complete, Chunks: r.chunks, Announced: r.total,
		Packets: r.packets, Bytes: r.bytes}
	took := now.Sub(r.began).Round(time.Millisecond)
	switch {
	case complete && r.total >= 0:
		s.Text = fmt.Sprintf("complete: %d dialogs of node %d in %s, as many as it announced", r.chunks, r.donor, took)
	case complete:
		s.Text = fmt.Sprintf("complete: %d dialogs of node %d in %s; its release doesn't announce a number", r.chunks, r.donor, took)
	default:
		s.Text = fmt.Sprintf("failed after %d dialogs of node %d in %s: %s", r.chunks, r.donor, took, why)
	}
	if complete {
		f.complete, f.failures, f.tried = now, 0, nil
		if !r.byHand {
			f.row++
		}
		f.done++
	} else {
		f.failed++
	}
	f.last, f.ended, f.run = s, &s, run{}
}

// incomplete says why the table may lack dialogs although a sync was tried, or nobody offered one; "" if it isn't so.
// up tells whether any node is up. Dead nodes change nothing any more, so what a complete sync brought is still all
// that there is.
func (f *fill) incomplete(now time.Time, up bool) string {
	switch {
	case f.failures > 0 && (up || f.complete.IsZero()): // if all nodes died since, the word names one
		return "the sync " + f.last.Text
	case f.reason == "" || f.nobody.IsZero() || now.Sub(f.nobody) < f.times.Patience, !up && !f.complete.IsZero():
		return ""
	case !up:
		return fmt.Sprintf("no node has been up for %s that could fill the table (%s)", now.Sub(f.nobody).Round(time.Second), f.reason)
	}
	return fmt.Sprintf("no node has offered a sync for %s (%s)", now.Sub(f.nobody).Round(time.Second), f.reason)
}
