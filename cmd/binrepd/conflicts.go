package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/userspace/watch/control"
)

func conflictsCommand() *cli.Command {
	return &cli.Command{
		Name: "conflicts", Usage: "list calls that a node changed after another one had claimed their sharing tag",
		Description: "After a split of a cluster two nodes act for one tag. The node that claimed the tag last is the newer one. Events of the older\n" +
			"one are applied and listed here, or refused if run has --fence. Look first at the calls that both sides changed.",
		Flags:  []cli.Flag{jsonFlag("print one JSON object"), controlFlag()},
		Before: noArguments, Action: listConflicts,
	}
}

func listConflicts(c *cli.Context) error {
	l, err := control.NewClient(c.String("control")).Conflicts(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, nil, l)
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	now := time.Now()
	for i := range l.Conflicts {
		d := &l.Conflicts[i]
		if i == 0 {
			fmt.Fprintln(w, "CALL-ID\tCLUSTER\tTAG\tOLDER NODE\tNEWER NODE\tCHANGED BY\tLAST")
		}
		by := fmt.Sprintf("node %d", d.Older)
		switch {
		case d.Both:
			by = "both"
		case d.Refused == d.ByOlder:
			by = "refused"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%d\t%s\t%s ago\n", control.Printable(string(d.CallID)), d.Cluster, control.Printable(string(d.Tag)),
			d.Older, d.Newer, by, span(d.Last, now))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	sums := fmt.Sprintf("%s calls, %s of them changed by both sides; %s events of older nodes since the start, %s refused",
		humanize.Comma(int64(len(l.Conflicts))), humanize.Comma(int64(l.Both)), humanize.Comma(int64(l.Events)), humanize.Comma(int64(l.Refused)))
	if l.More > 0 {
		sums += fmt.Sprintf("; %s events are of calls for which the list had no room", humanize.Comma(int64(l.More)))
	}
	_, err = fmt.Fprintln(c.App.Writer, sums)
	return err
}
