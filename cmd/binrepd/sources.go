package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/sources"
)

func sourcesCommand() *cli.Command {
	jsonList := func() cli.Flag { return jsonFlag("print {\"sources\": [...]}") }
	change := func(do, usage string) *cli.Command {
		return outlivesOutput(&cli.Command{
			Name: do, Usage: usage, ArgsUsage: "ADDRESS[:PORT]", Flags: []cli.Flag{jsonList(), wideFlag(), controlFlag()},
			Action: func(c *cli.Context) error {
				if c.NArg() != 1 {
					return usageErrorf("%s takes one source: see %[1]s --help", c.Command.HelpName)
				}
				name, err := sources.Parse(c.Args().First())
				if err != nil {
					return usageErrorf("%w", err)
				}
				list, err := control.NewClient(c.String("control")).ChangeSources(c.Context, control.SourceRequest{Do: do, Address: name})
				if err != nil {
					return err
				}
				return printSourceList(c, list)
			},
		})
	}
	return &cli.Command{
		Name: "sources", Usage: "show the sources of events, and say which of them must not be silent",
		Description: fmt.Sprintf("A source counts once %d of its events have changed the table. When one that counts has been silent for\n"+
			"--stale-after of run, the state is STALE. A source that is known only from a saved table doesn't count.\n"+
			"ADDRESS without a port stands for every source of that host.", engine.CountsFrom),
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the sources and how they stand", Flags: []cli.Flag{jsonList(), wideFlag(), controlFlag()},
				Before: noArguments,
				Action: func(c *cli.Context) error {
					list, err := control.NewClient(c.String("control")).Sources(c.Context)
					if err != nil {
						return err
					}
					return printSourceList(c, list)
				},
			},
			change(control.SourceForget, "take a source off the list until it sends again; it is not missed, and not expected any more"),
			change(control.SourceExpect, "make a source count at once, even if it never sent anything; "+
				"--state-dir of run keeps that over a restart"),
		},
	}
}

func printSourceList(c *cli.Context, list control.SourceList) error {
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(list)
	}
	if len(list.Sources) == 0 {
		fmt.Fprintln(c.App.Writer, "none")
		return nil
	}
	return sourceRows(newSheet(c), list.Sources, time.Now(), true)
}

// sourceRows writes a table of sources, in the order of bySourceTrouble, with a column that tells whether they count if
// counting is set.
func sourceRows(out sheet, list []control.SourceStatus, now time.Time, counting bool) error {
	columns := []heading{{name: "SOURCE", least: 15}, {name: "EVENTS"}, {name: "PER SECOND"}, {name: "REJECTED"}, {name: "CLOCK", spare: 1}, {name: "LAST EVENT"}}
	if counting {
		columns = append(columns, heading{name: "COUNTS"})
	}
	g := out.grid(columns...)
	for _, src := range bySourceTrouble(list) {
		last := lastText(src.Last, now)
		if !src.Restarted.IsZero() {
			last += ", restarted " + span(src.Restarted, now) + " ago"
		}
		values := []any{src.Address, src.Events, fmt.Sprintf("%.1f", src.Rate), src.Rejected, clockText(src.Skew), last}
		if counting {
			values = append(values, counts(&src))
		}
		g.row(values...)
	}
	return g.flush()
}

// counts tells in a word whether a source counts.
func counts(src *control.SourceStatus) string {
	switch {
	case src.Expected:
		return "expected"
	case src.Counts:
		return "yes"
	}
	return "no"
}
