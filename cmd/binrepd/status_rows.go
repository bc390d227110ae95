package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"binrepd/userspace/watch/control"
)

// survivalRows writes what outlives the process, and its privileges.
func survivalRows(row func(name, format string, args ...any), s *control.Status, now time.Time) {
	if p := s.Pin; p != nil {
		text := ""
		switch {
		case p.Adopted:
			text = fmt.Sprintf("; took over %d waiting events, lost at most %d that were not saved", p.Waited, p.Unsaved)
			if p.Overflowed > 0 {
				text += fmt.Sprintf(" and %d that found the rings full", p.Overflowed)
			}
		case p.Reason != "":
			text = "; replaced what was there: " + p.Reason + "; lost "
			if p.Discarded == nil {
				text += "an unknown number of events that waited"
			} else {
				text += fmt.Sprintf("%d events that waited", *p.Discarded)
			}
		}
		row("pinned", "%s%s", p.Dir, text)
	}
	if st := s.State; st != nil {
		text := "not saved yet"
		if !st.Saved.IsZero() {
			text = fmt.Sprintf("%d dialogs saved %s ago, %s in %.1f s", st.SavedDialogs, span(st.Saved, now), humanize.IBytes(st.SavedBytes), st.SaveSeconds)
		}
		if st.Error != "" {
			text += "; FAILING: " + st.Error
		}
		if !st.Restored.IsZero() {
			text += fmt.Sprintf("; restored %d, then %s old", st.RestoredDialogs, span(st.Restored, s.Started))
		}
		if st.Damaged != "" {
			text += "; passed over: " + st.Damaged
		}
		row("saved state", "%s: %s", st.Dir, text)
	}
	if p := s.Privileges; p != nil {
		text := "none kept"
		if len(p.Kept) > 0 {
			var names []string
			for _, k := range p.Kept {
				names = append(names, k.Name)
			}
			text = "kept " + strings.Join(names, ", ")
		}
		if p.Reason != "" {
			text = "not dropped: " + p.Reason
		}
		row("privileges", "%s", text)
	}
}

// recordRows writes the state of the recording.
func recordRows(row func(name, format string, args ...any), s *control.Status, now time.Time) {
	r := s.Record
	if r == nil {
		return
	}
	text := fmt.Sprintf("%d recorded in %s", r.Recorded, r.Dir)
	if r.Files > 0 {
		text += fmt.Sprintf(": %s of %s, back to %s ago", humanize.IBytes(r.FileBytes), humanize.IBytes(r.Limit), span(r.Oldest, now))
	}
	if r.Waiting > 0 {
		text += fmt.Sprintf("; %d waiting", r.Waiting)
	}
	if dropped := nonZero(r.Dropped); dropped != "" {
		text += "; not recorded: " + dropped
	}
	if r.Error != "" {
		text += "; FAILING: " + r.Error
	}
	row("recording", "%s", text)
}
