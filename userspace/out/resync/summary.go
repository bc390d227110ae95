package resync

import (
	"time"

	"binrepd/userspace/out/shield"
)

// Summary tells what a session did.
type Summary struct {
	// Complete: everything was sent. Otherwise PassSummary tells how far the first pass came, if none was finished.
	Complete bool
	// Passes that were finished.
	Passes int
	// PassSummary is about the last finished pass, or about the first one if none was finished.
	PassSummary

	Packets, Bytes uint64 // of all passes, with what the tail told
	SendErrors     uint64 // packets that this host refused to send
	TailEvents     uint64 // changes during the run, sent behind
	TailLost       uint64 // changes that were overwritten before they were sent; a further pass made up for them
	Overruns       uint64 // times that this happened
	// Tail is the shield's report about the changes: what was held back of them, and sockets that no rule names.
	Tail     shield.Report
	Duration time.Duration

	// Peer says that another binrepd answered. It gets dialogs of generation 2, too.
	Peer bool
	// Arrival tells what the destination says about the last pass, Missing how many of its LastPass packets didn't arrive.
	Arrival           Arrival
	Missing, LastPass uint64
}

// PassSummary tells what one pass over the table met.
type PassSummary struct {
	Total     uint64 // entries in the table when it began
	Visited   uint64 // entries met
	Dialogs   uint64 // live dialogs sent
	Deletions uint64 // ends that are remembered, sent
	Skipped   uint64 // ends that are remembered, not sent: before EndsFrom, or a live dialog has the same tags
	Filtered  uint64 // not chosen by the filter
	Expired   uint64 // not sent because their timeout has passed
	// Report is the shield's: what was held back, and sockets that no rule names.
	shield.Report
}

// Progress tells how far a session is.
type Progress struct {
	Pass, Passes   int    // this pass, from 1, and how many there will be
	Visited, Total uint64 // entries in this pass; Total is an estimate
	// Share of this pass that is done, from 0 to 1, by packets: a dialog may take several, an end takes one.
	Share          float64
	Packets, Bytes uint64 // so far
	TailEvents     uint64
	Overruns       uint64
	Elapsed        time.Duration
	Done           bool // this is the last report
}

// Remaining estimates the time left, from the progress so far; 0 if it can't be told.
func (p *Progress) Remaining() time.Duration {
	if p.Done || p.Total == 0 || p.Passes == 0 {
		return 0
	}
	all := float64(p.Passes)
	done := float64(p.Pass-1) + p.Share
	if done <= 0 {
		return 0
	}
	return time.Duration(float64(p.Elapsed) * (all - done) / done)
}

// Progress returns how far the session is. It may be called from any goroutine.
func (s *Session) Progress() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress
}

// report publishes the progress if it is time to, or for the last time.
func (s *Session) report(last bool) {
	now := time.Now()
	if !last && now.Sub(s.reported) < progressInterval {
		return
	}
	s.reported = now
	p := Progress{
		Share: s.share(),
		Pass:  min(s.summary.Passes+1, max(s.cfg.Passes, s.summary.Passes)), Passes: max(s.cfg.Passes, s.summary.Passes),
		Visited: s.pass.Visited, Total: s.pass.Total,
		Packets: s.line.packets.Load(), Bytes: s.line.bytes.Load(), TailEvents: s.summary.TailEvents, Overruns: s.summary.Overruns,
		Elapsed: now.Sub(s.started), Done: last,
	}
	s.mu.Lock()
	s.progress = p
	s.mu.Unlock()
	if s.cfg.OnProgress != nil {
		s.cfg.OnProgress(p)
	}
}

// share returns which part of the pass is done.
func (s *Session) share() float64 {
	each := 1.0 // packets of a dialog
	if s.cfg.Replace {
		each++
	}
	if s.repeat {
		each++
	}
	all := each*float64(s.pass.Total-s.ends) + float64(s.ends)
	if all == 0 {
		return 0
	}
	return min(1, (each*float64(s.pass.Visited-s.endsVisited)+float64(s.endsVisited))/all)
}
