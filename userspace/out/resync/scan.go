package resync

import (
	"context"

	"binrepd/dialog"
	"binrepd/userspace/out/shield"
)

// scan sends the table once: first the dialogs, then the ends that are remembered.
func (s *Session) scan(ctx context.Context) (err error) {
	if s.shield, err = shield.New(s.cfg.Policy); err != nil {
		return err
	}
	c := s.cfg.Table.Counts()
	s.pass, s.ended = PassSummary{Total: uint64(c.Live() + c.Early)}, false
	if s.ends, s.endsVisited = uint64(c.Tombstones), 0; s.cfg.EndsFrom == NoEnds {
		s.ends, s.pass.Skipped = 0, s.ends
	}
	s.pass.Total += s.ends
	if err := s.sweep(ctx); err != nil || s.cfg.EndsFrom == NoEnds {
		return err
	}
	s.ended = true
	return s.sweep(ctx)
}

// sweep goes once through the table.
func (s *Session) sweep(ctx context.Context) error {
	var cur dialog.Cursor
	for more := true; more; {
		if err := s.drain(ctx); err != nil {
			return err
		}
		more = s.copy(&cur)
		if err := s.sendEntries(ctx); err != nil {
			return err
		}
	}
	return nil
}

// copy copies the next entries and reports whether there may be more.
func (s *Session) copy(cur *dialog.Cursor) (more bool) {
	s.entries.Reset()
	if s.line.gather {
		s.entries.Grow(gatherBytes*gatherRoom, gatherMost*gatherRoom)
	}
	for {
		more = s.cfg.Table.Scan(cur, s.add)
		if !more || !s.line.gather || s.entries.Bytes() >= gatherBytes || s.entries.Len() >= gatherMost {
			return more
		}
	}
}

// add copies one entry if it is of the kind that the sweep is about.
func (s *Session) add(v *dialog.View) {
	switch {
	case v.Tombstone() != s.ended:
	case s.ended && v.Updated() < s.cfg.EndsFrom:
		s.pass.Visited++
		s.endsVisited++
		s.pass.Skipped++
	default:
		s.entries.Add(v)
	}
}
