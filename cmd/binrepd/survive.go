package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/bpf"
	"binrepd/userspace/watch/control"
)

const categorySurvive = "Death and restart"

// leastSaveInterval keeps a slip of the pen from writing without end.
const leastSaveInterval = 100 * time.Millisecond

func surviveFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "pin", Category: categorySurvive,
			Usage: "keep the XDP program attached and its ring buffers filling when the process ends, however it does, and take " +
				"them over at the next start, by `DIR` in a BPF filesystem, such as /sys/fs/bpf/binrepd; 'binrepd unpin' ends that",
		},
		&cli.StringFlag{
			Name: "state-dir", Category: categorySurvive,
			Usage: "save the table in `DIR` now and then and at the end, and restore it at the start",
		},
		&cli.DurationFlag{
			Name: "save-interval", Category: categorySurvive, Value: 30 * time.Second, DefaultText: "30s",
			Usage: "save the table every `DURATION`",
		},
	}
}

// survival is what outlives the process.
type survival struct {
	Pin          string        // folder in a BPF filesystem, or empty
	StateDir     string        // or empty
	SaveInterval time.Duration // at least leastSaveInterval
}

func parseSurvival(c *cli.Context) (survival, error) {
	s := survival{Pin: c.String("pin"), StateDir: c.String("state-dir"), SaveInterval: c.Duration("save-interval")}
	switch {
	case s.Pin != "" && !filepath.IsAbs(s.Pin):
		return s, fmt.Errorf("--pin %s: write the whole path, such as /sys/fs/bpf/binrepd", s.Pin)
	case strings.Contains(filepath.Base(s.Pin), ".") && s.Pin != "":
		return s, fmt.Errorf("--pin %s: names in a BPF filesystem have no dots", s.Pin)
	case s.SaveInterval < leastSaveInterval:
		return s, fmt.Errorf("--save-interval %s: at least %s", s.SaveInterval, leastSaveInterval)
	}
	return s, nil
}

// orNone lists names, or says that there are none.
func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

func unpinCommand() *cli.Command {
	return &cli.Command{
		Name:  "unpin",
		Usage: "detach the XDP program that 'run --pin' left attached, and free its ring buffers",
		Description: "What waits in the ring buffers is lost. From then on packets go to sockets again, if a process\n" +
			"has some open. Refused while an appliance works with the folder: stop that first.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "pin", Usage: "`DIR` that was given to run"},
		},
		Before: noArguments,
		Action: func(c *cli.Context) error {
			dir := c.String("pin")
			if dir == "" {
				return usageErrorf("--pin: say which folder was given to run, such as --pin /sys/fs/bpf/binrepd")
			}
			removed, err := bpf.Unpin(dir)
			if err != nil {
				return fmt.Errorf("unpin: %w", err)
			}
			fmt.Fprintf(c.App.Writer, "%s: %d pins removed: %s\n", dir, len(removed), orNone(removed))
			return nil
		},
	}
}

// survivalRows writes what survives the process, and what it may do.
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
			text = "; replaced what was there: " + p.Reason
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
