package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/watch/control"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show what the running appliance holds, what it received and what it lost",
		Description: "The word in the first line is the state:\n" +
			"READY   sources send, and nothing was lost within a minute\n" +
			"IDLE    no source has been seen yet\n" +
			"STALE   a source that counts (see binrepd sources) was silent for run's --stale-after, or a node of a cluster is down\n" +
			"LOSING  something was lost within the last minute\n" +
			"INCOMPLETE  dialogs of a cluster are missing, because no sync could be completed\n" +
			"After it, \"but\" lists everything else that is wrong, such as an interface without link or a save that fails.",
		Flags: []cli.Flag{
			jsonFlag("print one JSON object"),
			&cli.BoolFlag{
				Name: "check", DisableDefaultText: true,
				Usage: "print the word, its reason and the problems only, and exit with 0 for READY and IDLE, 3 for STALE, 4 for LOSING, 5 for INCOMPLETE, 1 if there is no answer",
			},
			&cli.BoolFlag{
				Name: "strict", DisableDefaultText: true,
				Usage: "with --check: exit with 6 for READY and IDLE if there are problems",
			},
			controlFlag(),
		},
		Action: showStatus,
	}
}

func showStatus(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if c.Bool("strict") && !c.Bool("check") {
		return usageErrorf("--strict: needs --check")
	}
	s, err := control.NewClient(c.String("control")).Status(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("check") {
		fmt.Fprintln(c.App.Writer, s.Line())
		return exitWith(s.ExitStatus(c.Bool("strict")))
	}
	if c.Bool("json") {
		out := json.NewEncoder(c.App.Writer)
		out.SetIndent("", "  ")
		return out.Encode(s)
	}
	return printStatus(c.App.Writer, &s, time.Now())
}

// printStatus writes the status for people: what the appliance holds, what it received, what became of it, its sources.
func printStatus(out io.Writer, s *control.Status, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	word := string(s.Word)
	if s.Reason != "" {
		word += ": " + s.Reason
	}
	row("state", "%s", word)
	for i, p := range s.Problems {
		name := "but"
		if i > 0 {
			name = ""
		}
		row(name, "%s", p.Text)
	}
	row("binrepd", "%s, process %d, up %s", s.Version, s.PID, span(s.Started, now))
	mode := s.Mode
	if s.FallbackReason != "" {
		mode += " (" + s.FallbackReason + ")"
	}
	row("mode", "%s", mode)
	for _, i := range s.Interfaces {
		text := i.Mode
		if i.Link != "" {
			text += ", link " + i.Link
		}
		if i.Lost > 0 {
			text += fmt.Sprintf(", %d lost", i.Lost)
		}
		if i.Dropped+i.Missed > 0 {
			text += fmt.Sprintf(" (rx_dropped %d, rx_missed %d)", i.Dropped, i.Missed)
		}
		if queues := nonZero(i.Queues); queues != "" {
			text += "; of its queues: " + queues
		}
		if i.Reason != "" {
			text += "; " + i.Reason
		}
		row("interface "+i.Name, "%s", text)
	}
	row("dialogs", "%d live: %d confirmed, %d answered; %d early, %d remembered as ended",
		s.Dialogs, s.Confirmed, s.Answered, s.Early, s.Tombstones)
	row("expired", "%d live, %d early; %d ghosts ended by hand", s.Expired.Live, s.Expired.Early, s.Expired.Ghosts)
	limit := ""
	if s.MaxDialogs > 0 {
		limit = fmt.Sprintf(", or %d dialogs", s.MaxDialogs)
	}
	if s.FullIn != nil && *s.FullIn < 30*24*3600 { // slower growth isn't worth a warning
		limit += ": full in " + span(now, now.Add(time.Duration(*s.FullIn*float64(time.Second))))
	}
	row("memory", "%s used, %s mapped, at most %s%s", humanize.IBytes(s.Memory.Used), humanize.IBytes(s.Memory.Mapped),
		humanize.IBytes(s.Memory.Limit), limit)
	if s.ClockAhead >= 1 || s.ClockAhead <= -1 {
		row("clock", "the wall clock has jumped: it is %+.0f s from the clock that expiry goes by", s.ClockAhead)
	}
	row("received", "%d creates, %d updates, %d deletes", s.CreateRecv, s.UpdateRecv, s.DeleteRecv)
	if s.LogLost > 0 {
		row("log", "%d lines lost: nobody reads standard error, or its disk is full", s.LogLost)
	}
	survivalRows(row, s, now)
	recordRows(row, s, now)
	row("latency", "%s in the last %s", s.LatencyRecent, seconds(s.LatencyWindow))
	row("", "%s since the start", s.Latency)
	if err := w.Flush(); err != nil {
		return err
	}
	printAccount(out, &s.Account)
	for _, l := range s.Listeners {
		fmt.Fprintf(out, "\nlistener %s: %d through XDP, %d through the socket, %d lost", l.Address, l.Steered, l.Socket, sum(l.Lost))
		if passed := nonZero(l.Passed); passed != "" {
			fmt.Fprintf(out, "; frames left to the kernel: %s", passed)
		}
		if l.Hint != "" {
			fmt.Fprintf(out, "\n  %s", l.Hint)
		}
	}
	fmt.Fprintln(out)
	if len(s.Clusters) > 0 {
		fmt.Fprintln(out)
		if err := printClusters(out, s.Clusters, now); err != nil {
			return err
		}
		var tags []membership.TagStatus
		for i := range s.Clusters {
			tags = append(tags, s.Clusters[i].Tags...)
		}
		if len(tags) > 0 {
			if err := printTags(out, tags, now); err != nil {
				return err
			}
		}
	}
	printRefusals(out, s)
	if len(s.Sources) > 0 {
		fmt.Fprintln(out)
		sourceRows(w, s.Sources, now, false)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return printBackups(out, s, now)
}

// printRefusals writes the allowed sources, and those that were refused most.
func printRefusals(out io.Writer, s *control.Status) {
	from := "everyone"
	if len(s.Allow) > 0 {
		from = strings.Join(s.Allow[:min(len(s.Allow), 8)], ", ")
		if more := len(s.Allow) - 8; more > 0 {
			from += fmt.Sprintf(" and %d more", more)
		}
	}
	if s.SourceRate > 0 {
		from += fmt.Sprintf(", at most %d a second from each address", s.SourceRate)
	}
	fmt.Fprintf(out, "packets are taken from %s\n", from)
	for _, list := range []struct {
		name    string
		sources []control.RefusedSource
	}{{"denied most: ", s.Denied}, {"limited most: ", s.RateLimited}} {
		var parts []string
		for _, src := range list.sources {
			parts = append(parts, fmt.Sprintf("%s (%d)", src.Address, src.Datagrams))
		}
		if len(parts) > 0 {
			fmt.Fprintln(out, list.name+strings.Join(parts, ", "))
		}
	}
}

// printBackups writes the state of the backups, and the running syncs.
func printBackups(out io.Writer, s *control.Status, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(s.Destinations) > 0 {
		fmt.Fprintf(w, "\nhanded on: %d creates, %d updates, %d deletes\n", s.CreateSent, s.UpdateSent, s.DeleteSent)
		backupRows(w, s.Destinations, now)
		for _, d := range s.Destinations {
			if d.NeedsSync != "" {
				fmt.Fprintf(w, "%s %s, needs a sync: binrepd sync --to %[1]s\n", d.Address, d.NeedsSync)
			}
			if held := nonZero(d.Held); held != "" {
				fmt.Fprintf(w, "held back from %s: %s\n", d.Address, held)
			}
			if errs := sendErrors(&d); errs != "" {
				fmt.Fprintf(w, "errors of sending to %s: %s\n", d.Address, errs)
			}
			if sockets := listSockets(d.Sockets, d.MoreSockets); sockets != "" {
				fmt.Fprintf(w, "sockets that no rule for %s names: %s\n", d.Address, sockets)
			}
		}
	}
	for _, r := range s.Syncs {
		fmt.Fprintf(w, "\nsync to %s, for %s: pass %d of %d, %d of about %d, %d packets\n", r.To, span(r.Started, now), r.Pass, r.Passes,
			r.Visited, r.Total, r.Packets)
	}
	return w.Flush()
}

// backupRows writes a table of backups.
func backupRows(w io.Writer, list []control.DestinationStatus, now time.Time) {
	fmt.Fprintln(w, "BACKUP\tSTATE\tSINCE\tSENT\tQUEUED\tDROPPED\tHELD BACK\tUNMATCHED SOCKETS")
	for _, d := range list {
		state := d.State
		if d.State != "up" && d.Cause != "" {
			state += " (" + d.Cause + ")"
		}
		if d.Paused {
			state += ", paused"
		}
		fmt.Fprintf(w, "%s\t%s\t%s ago\t%d\t%d\t%d\t%d\t%d\n", d.Address, state, span(d.Since, now), d.Sent, d.Queued,
			d.Dropped+d.Lost, sum(d.Held), d.Unmatched)
	}
}

// printAccount writes the account: the packets seen, and what became of them.
func printAccount(out io.Writer, a *control.Account) {
	fmt.Fprintf(out, "\naccount   %d seen = %d applied (%d recovered, %d early) + %d duplicate + %d stale + %d late + %d unknown\n",
		a.Seen, a.Applied, a.Recovered, a.BeganEarly, a.Duplicate, a.Stale, a.Late, a.Unknown)
	fmt.Fprintf(out, "          + %d other capability + %d rejected + %d lost", a.OtherCapability, sum(a.Rejected), sum(a.Lost))
	if open := int64(a.Seen) - int64(a.Sum()); open != 0 {
		fmt.Fprintf(out, " + %d under way", open)
	}
	fmt.Fprintln(out)
	for _, part := range []struct {
		name    string
		reasons map[string]uint64
	}{{"rejected", a.Rejected}, {"lost", a.Lost}} {
		if text := nonZero(part.reasons); text != "" {
			fmt.Fprintf(out, "%-9s %s\n", part.name, text)
		}
	}
}

// sum adds up counts by reason.
func sum(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// sendErrors lists the errors of sending to a backup, by kind.
func sendErrors(d *control.DestinationStatus) string {
	return nonZero(map[string]uint64{
		"refused": d.Refusals, "unreachable": d.Unreachables, "other": d.Errors - min(d.Errors, d.Refusals+d.Unreachables),
	})
}

// listSockets lists how often each socket occurred, and how often those that aren't listed.
func listSockets(sockets map[string]uint64, more uint64) string {
	text := nonZero(sockets)
	if more > 0 {
		text += fmt.Sprintf(", and %d of further sockets that aren't listed", more)
	}
	return text
}

// nonZero lists the counts that aren't zero, by name, in alphabetical order.
func nonZero(counts map[string]uint64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if counts[name] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[name], control.Printable(name)))
		}
	}
	return strings.Join(parts, ", ")
}
