package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
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
			wideFlag(), controlFlag(),
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
	return printStatus(newSheet(c), &s, time.Now())
}

// printStatus writes the status for people: what the appliance holds, what it received, what became of it, its sources.
func printStatus(out sheet, s *control.Status, now time.Time) error {
	top := &pairs{}
	row := top.add
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
	for i := range s.Interfaces {
		row("interface "+s.Interfaces[i].Name, "%s", interfaceText(&s.Interfaces[i]))
	}
	row("dialogs", "%d live: %d confirmed, %d answered; %d early, %d remembered as ended",
		s.Dialogs, s.Confirmed, s.Answered, s.Early, s.Tombstones)
	expired := fmt.Sprintf("%d live, %d early; %d ghosts ended by hand", s.Expired.Live, s.Expired.Early, s.Expired.Ghosts)
	if s.Expired.Dropped > 0 {
		expired += fmt.Sprintf(", %d because their node had dropped them", s.Expired.Dropped)
	}
	row("expired", "%s", expired)
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
	out.pairs(top)
	printAccount(out, &s.Account)
	fmt.Fprintln(out.out)
	for _, l := range s.Listeners {
		text := fmt.Sprintf("listener %s: %d through XDP, %d through the socket, %d lost", l.Address, l.Steered, l.Socket, sum(l.Lost))
		if passed := nonZero(l.Passed); passed != "" {
			text += "; frames left to the kernel: " + passed
		}
		out.line("%s", text)
		if l.Hint != "" {
			out.wrap("  ", "  ", strings.Fields(l.Hint))
		}
	}
	if len(s.Clusters) > 0 {
		fmt.Fprintln(out.out)
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
	printAudits(out, s, now)
	printRefusals(out, s)
	if len(s.Sources) > 0 {
		fmt.Fprintln(out.out)
		if err := sourceRows(out, s.Sources, now, false); err != nil {
			return err
		}
	}
	return printBackups(out, s, now)
}

// interfaceText says how XDP is attached to an interface, and what was lost there.
func interfaceText(i *control.InterfaceStatus) string {
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
	return text
}

// printRefusals writes the allowed sources, and those that were refused most.
func printRefusals(out sheet, s *control.Status) {
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
	out.line("packets are taken from %s", from)
	for _, list := range []struct {
		name    string
		sources []control.RefusedSource
	}{{"denied most: ", s.Denied}, {"limited most: ", s.RateLimited}} {
		var parts []string
		for _, src := range list.sources {
			parts = append(parts, fmt.Sprintf("%s (%d)", src.Address, src.Datagrams))
		}
		if len(parts) > 0 {
			out.line("%s%s", list.name, strings.Join(parts, ", "))
		}
	}
}

// printBackups writes the state of the backups, and the running syncs.
func printBackups(out sheet, s *control.Status, now time.Time) error {
	if len(s.Destinations) > 0 {
		fmt.Fprintln(out.out)
		out.line("handed on: %d creates, %d updates, %d deletes", s.CreateSent, s.UpdateSent, s.DeleteSent)
		if err := backupRows(out, s.Destinations, now); err != nil {
			return err
		}
		for i := range s.Destinations {
			d := &s.Destinations[i]
			if d.NeedsSync != "" {
				why := words(fmt.Sprintf("%s %s, needs a sync:", d.Address, d.NeedsSync))
				out.wrap("", "  ", append(why, "binrepd sync --to "+d.Address)) // in one piece, to be copied
			}
			if held := nonZero(d.Held); held != "" {
				out.line("held back from %s: %s", d.Address, held)
			}
			if lost := nonZero(d.ConversionLost); lost != "" {
				out.line("%d converted for %s; lost: %s", d.Converted, d.Address, lost)
			}
			if errs := sendErrors(d); errs != "" {
				out.line("errors of sending to %s: %s", d.Address, errs)
			}
			if sockets := listSockets(d.Sockets, d.MoreSockets); sockets != "" {
				out.line("sockets that no rule for %s names: %s", d.Address, sockets)
			}
		}
	}
	for _, r := range s.Syncs {
		fmt.Fprintln(out.out)
		out.line("sync to %s, for %s: pass %d of %d, %d of about %d, %d packets", r.To, span(r.Started, now), r.Pass, r.Passes,
			r.Visited, r.Total, r.Packets)
	}
	return nil
}

// backupRows writes a table of backups, and below it why those that aren't up are not.
func backupRows(out sheet, list []control.DestinationStatus, now time.Time) error {
	g := out.grid(heading{name: "BACKUP", least: 16}, heading{name: "STATE"}, heading{name: "SINCE"}, heading{name: "SENT"},
		heading{name: "QUEUED"}, heading{name: "DROPPED"}, heading{name: "HELD BACK", spare: 2}, heading{name: "UNMATCHED SOCKETS", spare: 1})
	for i := range list {
		d := &list[i]
		state := d.State
		if d.Paused {
			state += ", paused"
		}
		g.row(d.Address, state, span(d.Since, now), d.Sent, d.Queued, d.Dropped+d.Lost, sum(d.Held), d.Unmatched)
	}
	if err := g.flush(); err != nil {
		return err
	}
	for i := range list {
		if d := &list[i]; d.State != "up" && d.Cause != "" {
			out.line("%s is %s: %s", d.Address, d.State, d.Cause)
		}
	}
	return nil
}

// printAccount writes the account: the packets seen, and what became of them.
func printAccount(out sheet, a *control.Account) {
	fmt.Fprintln(out.out)
	p := &pairs{}
	parts := []string{
		fmt.Sprintf("%d seen = %d applied", a.Seen, a.Applied), fmt.Sprintf("(%d recovered,", a.Recovered), fmt.Sprintf("%d early)", a.BeganEarly),
		fmt.Sprintf("+ %d duplicate", a.Duplicate), fmt.Sprintf("+ %d stale", a.Stale), fmt.Sprintf("+ %d late", a.Late),
		fmt.Sprintf("+ %d unknown", a.Unknown), fmt.Sprintf("+ %d other capability", a.OtherCapability),
		fmt.Sprintf("+ %d rejected", sum(a.Rejected)), fmt.Sprintf("+ %d lost", sum(a.Lost)),
	}
	if open := int64(a.Seen) - int64(a.Sum()); open != 0 {
		parts = append(parts, fmt.Sprintf("+ %d under way", open))
	}
	p.addParts("account", parts)
	for _, part := range []struct {
		name    string
		reasons map[string]uint64
	}{{"rejected", a.Rejected}, {"lost", a.Lost}} {
		if text := nonZero(part.reasons); text != "" {
			p.add(part.name, "%s", text)
		}
	}
	out.pairs(p)
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
