package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/userspace/mi"
	"binrepd/userspace/watch/audit"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/proxies"
)

// miFlag names the proxy to ask. usage says what for.
func miFlag(usage string) cli.Flag {
	return &cli.StringFlag{Name: "mi", Usage: usage + " by its management interface at `URL`: " + mi.Forms}
}

func targetFlags(whose string) []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "node", Usage: whose + " from node `N` of a cluster", DefaultText: "any"},
		&cli.StringFlag{
			Name: "origin", Usage: whose + " from the source `HOST[:PORT]`",
			DefaultText: "the host of --mi, if datagrams came from there",
		},
	}
}

// parseProxy reads --mi, --node and --origin.
func parseProxy(c *cli.Context) (t proxies.Target, err error) {
	t = proxies.Target{MI: c.String("mi"), Node: uint32(c.Int("node")), Origin: c.String("origin")}
	if t.MI == "" {
		return t, errors.New("--mi: say which proxy, such as --mi http://10.0.0.1:8888/mi")
	}
	if _, err := mi.ParseAddress(t.MI); err != nil {
		return t, fmt.Errorf("--mi: %w", err)
	}
	if node := c.Int("node"); c.IsSet("node") && (node < 1 || node > math.MaxInt32) {
		return t, fmt.Errorf("--node %d: not the number of a node", node)
	}
	if t.Node > 0 && t.Origin != "" {
		return t, errors.New("--node and --origin: a dialog comes from one of them; leave the other out")
	}
	return t, nil
}

func auditCommand() *cli.Command {
	return &cli.Command{
		Name: "audit", Usage: "compare a proxy's dialogs with those that binrepd holds, and repair differences if asked to",
		Description: "Asks an OpenSIPS of any release for its dialogs, while calls come and go, and prints those that are not the same:\n" +
			"missing_here      the proxy has the call, binrepd doesn't\n" +
			"ended_here        the same, but binrepd was told that the call has ended\n" +
			"missing_at_proxy  binrepd has the call, the proxy doesn't: a ghost\n" +
			"different         both have the call, with different fields\n\n" +
			"A difference counts only if it is still there when the proxy is asked about that one call, seconds later. What the\n" +
			"management interface shows differently by nature is left out: docs/operations.md lists it. The proxy works at most\n" +
			"half of the time for the audit. Without --node and --origin the proxy should have the dialogs that came in datagrams\n" +
			"from its host; if none did, all dialogs.\n\n" +
			"--repair ends ghosts, here and at the backups, after a second look, and takes in what is missing here. Dialogs that\n" +
			"ended here or have different fields stay as they are.\n\n" +
			"Exit status 0: equal, or all repaired. 1: there are differences, or the audit failed.",
		Flags: append([]cli.Flag{
			miFlag("ask the proxy"),
			&cli.BoolFlag{Name: "repair", DisableDefaultText: true, Usage: "repair what differs; without this flag nothing changes"},
			jsonFlag("print one JSON object a line, the last one with the sums"), controlFlag(),
		}, targetFlags("the proxy should have the dialogs")...),
		Before: noArguments,
		Action: auditAction,
	}
}

func auditAction(c *cli.Context) error {
	target, err := parseProxy(c)
	if err != nil {
		return usageErrorf("%w", err)
	}
	if c.Bool("repair") {
		outliveOutput(c)
	}
	req := proxies.AuditRequest{Target: target, Repair: c.Bool("repair")}
	out := json.NewEncoder(c.App.Writer)
	sum, err := proxies.Audit(c.Context, control.NewClient(c.String("control")), req, func(f *proxies.Finding) error {
		if c.Bool("json") {
			return out.Encode(f)
		}
		return printFinding(c.App.Writer, f)
	})
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if c.Bool("json") {
		err = out.Encode(sum)
	} else {
		err = printAudit(c.App.Writer, &sum)
	}
	if err == nil && sum.Differences() > sum.Repaired {
		err = exitWithStatus(exitFailed)
	}
	return err
}

func printFinding(w io.Writer, f *proxies.Finding) error {
	line := fmt.Sprintf("%-16s  %s  from-tag %s", f.Kind, control.Printable(string(f.CallID)), control.Printable(string(f.CallerTag)))
	if f.Origin != "" {
		line += ", from " + f.Origin
	}
	if f.Repaired {
		line += ": " + repaired(f.Kind)
	}
	if _, err := fmt.Fprintln(w, line); err != nil {
		return err
	}
	for _, d := range f.Fields {
		if _, err := fmt.Fprintf(w, "  %s: here \"%s\", at the proxy \"%s\"\n", d.Field, control.Printable(string(d.Here)), control.Printable(string(d.Proxy))); err != nil {
			return err
		}
	}
	return nil
}

func repaired(kind string) string {
	if kind == string(audit.MissingThere) {
		return "ended"
	}
	return "taken in"
}

func printAudit(w io.Writer, s *proxies.AuditSummary) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s: %s\n", s.Proxy, control.Printable(s.Version), s.Text())
	fmt.Fprintf(&b, "  %s dialogs at the proxy, %s here that it should have (%s); %s compared in %s\n", humanize.Comma(int64(s.Dialogs)),
		humanize.Comma(int64(s.Here)), s.Expected, humanize.Comma(int64(s.Compared)), seconds(s.Seconds))
	line := func(n uint64, text string) {
		if n > 0 {
			fmt.Fprintf(&b, "  %s %s\n", humanize.Comma(int64(n)), text)
		}
	}
	line(s.Repaired, "repaired")
	line(s.Recent, "not judged: events told of them during the audit")
	line(s.Unclear, "not clear: the proxy can't be asked for them one by one")
	line(s.Unchecked, "seemed to differ, and are more than are asked for one by one: repair, or import, and audit again")
	_, err := io.WriteString(w, b.String())
	return err
}

func importCommand() *cli.Command {
	return outlivesOutput(&cli.Command{
		Name: "import", Usage: "fill the table with the calls that a proxy knows: a cold start",
		Description: "Asks an OpenSIPS of any release for all its answered dialogs, with variables and profiles, and takes in those that\n" +
			"aren't here. Live events win: a dialog that is here already, or has ended meanwhile, is left alone. Backups are told.\n\n" +
			"The management interface doesn't tell everything. Imported dialogs lack " + audit.Lacks + ",\n" +
			"until the proxy sends an update of them. From 3.0 on they lack user flags, too.",
		Flags: append([]cli.Flag{
			miFlag("ask the proxy"),
			&cli.BoolFlag{Name: "dry-run", DisableDefaultText: true, Usage: "take in nothing, only count"},
			jsonFlag("print the summary as one JSON object"), controlFlag(),
		}, targetFlags("take the dialogs as")...),
		Before: noArguments,
		Action: func(c *cli.Context) error {
			target, err := parseProxy(c)
			if err != nil {
				return usageErrorf("%w", err)
			}
			s, err := proxies.Import(c.Context, control.NewClient(c.String("control")), proxies.ImportRequest{Target: target, DryRun: c.Bool("dry-run")})
			if err != nil {
				return fmt.Errorf("import: %w", err)
			}
			if c.Bool("json") {
				return printJSON(c, nil, s)
			}
			return printImport(c.App.Writer, &s)
		},
	})
}

func printImport(w io.Writer, s *proxies.ImportSummary) error {
	var b strings.Builder
	verb := "taken in"
	if s.DryRun {
		verb = "would be taken in"
	}
	fmt.Fprintf(&b, "%s, %s: %s of %s calls %s in %s\n", s.Proxy, control.Printable(s.Version), humanize.Comma(int64(s.Imported)),
		humanize.Comma(int64(s.Dialogs)), verb, seconds(s.Seconds))
	line := func(n uint64, text string) {
		if n > 0 {
			fmt.Fprintf(&b, "  %s %s\n", humanize.Comma(int64(n)), text)
		}
	}
	line(s.Known, "were here already")
	line(s.Outcomes["late"], "have ended here meanwhile")
	line(s.Early, "aren't answered yet: events will tell of them")
	line(s.Unfit, "can't be stored, because a field is too long or the time of the answer is none")
	line(s.Lacking, "lack user flags or names of profiles, which this interface doesn't give")
	fmt.Fprintf(&b, "  stored as %s, from %s\n", s.Layout, s.Origin)
	_, err := io.WriteString(w, b.String())
	return err
}

// askArrived asks the standby of a sync whether it has everything, and puts the answer into the summary.
func askArrived(c *cli.Context, s *control.SyncSummary, filter string, began int64) error {
	req := proxies.ArrivedRequest{MI: c.String("mi"), Filter: filter, Before: uint32(began)}
	sum, err := proxies.Arrived(c.Context, control.NewClient(c.String("control")), req, func(f *proxies.Finding) error {
		if !c.Bool("json") {
			_, err := fmt.Fprintf(c.App.ErrWriter, "not at the standby: %s  from-tag %s\n", control.Printable(string(f.CallID)), control.Printable(string(f.CallerTag)))
			return err
		}
		return nil
	})
	if err != nil {
		s.Arrived = control.NotConfirmed
		return fmt.Errorf("sent; whether all arrived isn't known: %w", err)
	}
	s.Asked, s.Arrived, s.Missing = sum.Proxy, control.ArrivedAll, sum.There+sum.Unchecked
	switch {
	case s.Missing > 0:
		s.Arrived = control.ArrivedMissing
		return fmt.Errorf("%s of %s dialogs are not at %s", humanize.Comma(int64(s.Missing)), humanize.Comma(int64(sum.Here)), sum.Proxy)
	case sum.Unclear > 0:
		s.Arrived, s.Missing = control.ArrivedUnclear, sum.Unclear
	}
	return nil
}

// printAudits writes what the audits on a schedule found, and the hint for a cold start.
func printAudits(out sheet, s *control.Status, now time.Time) {
	if cold := s.Cold(); cold != "" {
		out.line("%s", cold)
	}
	for i := range s.Audits {
		a := &s.Audits[i]
		text := "none yet"
		if !a.Last.IsZero() {
			text = fmt.Sprintf("%s, %s ago", a.Text(), span(a.Last, now))
		}
		if a.Error != "" {
			text += "; the last try failed: " + control.Printable(a.Error)
		}
		out.line("audit of %s: %s", control.Printable(a.Proxy), text)
	}
}
