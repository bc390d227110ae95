package control

import (
	"context"
	"log/slog"
	"time"
)

// standstill is the time between two samples, due once a second, from which the process must have stood still. It is long
// enough for a host that is short of processor time.
const standstill = 5 * time.Second

// Journal logs what changes: the word, problems, links, sources, and a standstill of the process. Call Sample about once
// a second. It is not safe for concurrent use. The zero value is ready.
type Journal struct {
	StaleAfter time.Duration // as in History

	at       time.Time
	word     Word
	problems map[Problem]bool
	sources  map[string]bool // whether each sends
}

// mostSources is how many changes of sources one sample logs one by one. Anybody can make up sources.
const mostSources = 10

// Sample logs how s, which History has completed, differs from the sample before.
func (j *Journal) Sample(now time.Time, s *Status, log *slog.Logger) {
	if late := now.Sub(j.at); !j.at.IsZero() && late >= standstill {
		log.Warn("the process stood still", "seconds", late.Round(time.Second/10).Seconds())
	}
	j.at = now
	if s.Word != j.word {
		level := slog.LevelInfo
		if s.Word.ExitStatus() != 0 {
			level = slog.LevelWarn
		}
		log.Log(context.Background(), level, "state", "is", s.Word, "was", j.word, "reason", s.Reason)
		j.word = s.Word
	}
	j.logProblems(s, log)
	j.logSources(now, s, log)
}

// logProblems logs problems that begin and end. One whose text changes, such as another error of the disk, ends and
// begins.
func (j *Journal) logProblems(s *Status, log *slog.Logger) {
	are := make(map[Problem]bool, len(s.Problems))
	for _, p := range s.Problems {
		p.Text = p.stableText()
		are[p] = true
		if !j.problems[p] {
			log.Warn("problem", "code", p.Code, "problem", p.Text)
		}
	}
	for p := range j.problems {
		if !are[p] {
			log.Info("problem is over", "code", p.Code, "problem", p.Text)
		}
	}
	j.problems = are
}

// stableText is the text without what changes from second to second.
func (p Problem) stableText() string {
	switch p.Code {
	case TableFull, RingDefect, RestartLost:
		return p.Code.Meaning()
	}
	return p.Text
}

// logSources logs sources that begin to send, and those that have been silent for longer than StaleAfter.
func (j *Journal) logSources(now time.Time, s *Status, log *slog.Logger) {
	if j.sources == nil {
		j.sources = map[string]bool{}
	}
	changes := 0
	for i := range s.Sources {
		src := &s.Sources[i]
		if !src.Counts { // a stray datagram is no news
			continue
		}
		sends := src.Events > 0 && (j.StaleAfter == 0 || now.Sub(src.Last) < j.StaleAfter)
		before, known := j.sources[src.Address]
		if sends == before && known || !known && !sends {
			continue
		}
		j.sources[src.Address] = sends
		if changes++; changes > mostSources {
			continue
		}
		if sends {
			log.Info("a source sends", "source", src.Address)
		} else {
			log.Warn("a source is silent", "source", src.Address, "seconds", now.Sub(src.Last).Round(time.Second).Seconds())
		}
	}
	if changes > mostSources {
		log.Warn("more sources changed", "count", changes-mostSources)
	}
	if len(j.sources) > 2*len(s.Sources)+mostSources { // the register has forgotten some
		kept := make(map[string]bool, len(s.Sources))
		for i := range s.Sources {
			kept[s.Sources[i].Address] = j.sources[s.Sources[i].Address]
		}
		j.sources = kept
	}
}
