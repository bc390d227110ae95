package control

import (
	"slices"
	"time"
)

// restartLostFor is how long a loss of the last restart is shown as a problem. The alert BinrepdRestartLost has the same
// time.
const restartLostFor = time.Hour

// tagConflictFor is how long two nodes that claim a sharing tag are shown as a problem. The nodes say so only once.
const tagConflictFor = 10 * time.Minute

// findProblems adds the problems that the rest of the status shows, and sorts all of them. s was taken at now.
func (s *Status) findProblems(now time.Time) {
	for _, i := range s.Interfaces {
		switch name := Printable(i.Name); i.Link {
		case LinkDown:
			s.AddProblem(InterfaceDown, "interface %s is down", name)
		case LinkNoCarrier:
			if i.Unused {
				continue
			}
			s.AddProblem(InterfaceDown, "interface %s has no carrier", name)
		case LinkMissing:
			s.AddProblem(InterfaceDown, "interface %s is missing", name)
		}
	}
	if s.FallbackReason != "" {
		s.AddProblem(Fallback, "mode %s: %s", s.Mode, Printable(s.FallbackReason))
	}
	s.tableProblems()
	if st := s.State; st != nil && st.Error != "" {
		s.AddProblem(SaveFailing, "the table can't be saved: %s", Printable(st.Error))
	}
	if r := s.Record; r != nil && r.Error != "" {
		s.AddProblem(RecordFailing, "the recorder can't write: %s", Printable(r.Error))
	}
	for _, d := range s.Destinations {
		if d.NeedsSync != "" {
			s.AddProblem(BackupLacking, "backup %s %s, needs a sync", Printable(d.Address), d.NeedsSync)
		}
	}
	for _, d := range s.Destinations {
		if d.State == "up" || d.State == "resolving" && d.Cause == "" {
			continue
		}
		text := "backup " + Printable(d.Address) + " is " + d.State
		if d.Cause != "" {
			text += " (" + Printable(d.Cause) + ")"
		}
		s.AddProblem(BackupDown, "%s", text)
	}
	for i, r := range s.Rings {
		if r.Refused+r.LateWakeups > 0 {
			s.AddProblem(RingDefect, "ring %d had %d inconsistent records and %d late wake-ups: a defect", i, r.Refused, r.LateWakeups)
		}
	}
	if p := s.Pin; p != nil && p.Unsaved+p.Overflowed > 0 && now.Sub(s.Started) < restartLostFor {
		s.AddProblem(RestartLost, "the restart %s ago lost at most %d events", now.Sub(s.Started).Truncate(time.Second), p.Unsaved+p.Overflowed)
	}
	for i := range s.Clusters {
		for _, t := range s.Clusters[i].Tags {
			if !t.LastConflict.IsZero() && now.Sub(t.LastConflict) < tagConflictFor {
				s.AddProblem(TagConflict, "nodes %d and %d of cluster %d both claimed the sharing tag %s, %s ago", t.Previous, t.Active,
					s.Clusters[i].Cluster, Printable(t.Tag), now.Sub(t.LastConflict).Truncate(time.Second))
			}
		}
	}
	s.auditProblems()
	order := ProblemCodes()
	slices.SortStableFunc(s.Problems, func(a, b Problem) int { return slices.Index(order, a.Code) - slices.Index(order, b.Code) })
}

// tableProblems adds the problem that the table is full.
func (s *Status) tableProblems() {
	switch {
	case s.MaxDialogs > 0 && s.Dialogs+s.Early >= s.MaxDialogs:
		s.AddProblem(TableFull, "the table is full: %d dialogs, at most %d (--max-dialogs)", s.Dialogs+s.Early, s.MaxDialogs)
	case s.Memory.Limit > 0 && s.Memory.Used >= s.Memory.Limit:
		s.AddProblem(TableFull, "the table is full: it uses all of its memory (--max-memory)")
	}
}
