package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"binrepd/dialog"
	"binrepd/dialog/escape"
	"binrepd/userspace/watch/control"
)

// escapesText is part of the help of commands that take a Call-ID.
const escapesText = "Bytes of a Call-ID that can't be shown are \\xNN, in the output and in CALLID."

const categoryFilter = "Which dialogs"

func dialogsCommand() *cli.Command {
	return &cli.Command{
		Name:  "dialogs",
		Usage: "list, look up and count the dialogs that the running appliance holds",
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the live dialogs, or those that the flags choose",
				Flags: append(filterFlags(), limitFlag(), jsonFlag("print one JSON object a line, with the keys of OpenSIPS's dlg_list"), wideFlag(), controlFlag()),
				Action: func(c *cli.Context) error {
					if err := noArguments(c); err != nil {
						return err
					}
					f, err := parseFilter(c)
					if err != nil {
						return err
					}
					_, err = listDialogs(c, f)
					return err
				},
			},
			{
				Name: "get", Usage: "show every dialog, early ones too, of one Call-ID", ArgsUsage: "CALLID",
				Description: escapesText,
				Flags:       []cli.Flag{jsonFlag("print one JSON object a line, with the keys of OpenSIPS's dlg_list"), wideFlag(), controlFlag()},
				Action:      getDialog,
			},
			{
				Name: "count", Usage: "count the live dialogs, or those that the flags choose",
				Flags:  append(filterFlags(), jsonFlag("print {\"dialogs\": N}"), controlFlag()),
				Action: countDialogs,
			},
			ghostsCommand(),
			conflictsCommand(),
		},
	}
}

// filterFlags choose dialogs. A command with another --to uses filterFlagsNamed with the long names only.
func filterFlags() []cli.Flag {
	return filterFlagsNamed([]string{"from", "from-uri"}, []string{"to", "to-uri"})
}

func filterFlagsNamed(from, to []string) []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{
			Name: "state", Category: categoryFilter, DefaultText: "live",
			Usage: "only dialogs in `STATE`: unconfirmed, early, answered, confirmed, live (the last two) or all; repeat for more",
		},
		&cli.StringFlag{
			Name: from[0], Aliases: from[1:], Category: categoryFilter, Usage: "only dialogs whose caller's URI contains `TEXT`",
		},
		&cli.StringFlag{
			Name: to[0], Aliases: to[1:], Category: categoryFilter, Usage: "only dialogs whose callee's URI contains `TEXT`",
		},
		&cli.StringFlag{
			Name: "origin", Category: categoryFilter,
			Usage: "only dialogs whose last change came from `SOURCE`, an address or ADDRESS:PORT",
		},
		&cli.IntFlag{
			Name: "node", Category: categoryFilter, DefaultText: "any",
			Usage: "only dialogs whose last change came from the cluster node with the number `NODE`",
		},
		&cli.StringFlag{Name: "tag", Category: categoryFilter, Usage: "only dialogs with the sharing tag `TAG`"},
		&cli.StringSliceFlag{
			Name: "profile", Category: categoryFilter,
			Usage: "only dialogs in the profile `NAME[=VALUE]`, with that value or with any; repeat for dialogs that are in all of them",
		},
		&cli.StringSliceFlag{
			Name: "var", Category: categoryFilter,
			Usage: "only dialogs that have the variable `NAME[=VALUE]`, with that value or with any; repeat for dialogs that have all of them",
		},
	}
}

func limitFlag() cli.Flag {
	return &cli.IntFlag{Name: "limit", Category: categoryFilter, Usage: "stop after `N` dialogs", DefaultText: "all"}
}

func parseFilter(c *cli.Context) (control.Filter, error) {
	f := control.Filter{
		From: escape.Parse(c.String("from-uri")), To: escape.Parse(c.String("to-uri")), Origin: c.String("origin"), Limit: c.Int("limit"),
		Tag: escape.Parse(c.String("tag")), Profiles: parseAll(c.StringSlice("profile")), Vars: parseAll(c.StringSlice("var")),
	}
	if c.IsSet("node") {
		n := c.Int("node")
		if n < 1 || n > math.MaxInt32 {
			return f, usageErrorf("--node %d: want the number of a node, 1 or more", n)
		}
		f.Node = uint32(n)
	}
	states, err := control.ParseStates(c.StringSlice("state"))
	if err != nil {
		return f, usageErrorf("--state: %w", err)
	}
	f.States = states
	if c.IsSet("limit") && f.Limit < 1 {
		return f, usageErrorf("--limit %d: at least 1; leave it out for all", f.Limit)
	}
	if _, err := control.ParseFilter(f.Query()); err != nil {
		return f, usageErrorf("--%w", err)
	}
	return f, nil
}

// parseAll reads texts in which bytes that can't be shown are \xNN.
func parseAll(texts []string) (list []string) {
	for _, t := range texts {
		list = append(list, escape.Parse(t))
	}
	return list
}

func getDialog(c *cli.Context) error {
	if c.NArg() != 1 || c.Args().First() == "" {
		return usageErrorf("%s takes one Call-ID: see %[1]s --help", c.Command.HelpName)
	}
	callID := escape.Parse(c.Args().First())
	all, err := control.ParseStates([]string{"all"})
	if err != nil {
		return err
	}
	n, err := listDialogs(c, control.Filter{CallID: callID, States: all})
	if err == nil && n == 0 {
		return fmt.Errorf("no dialog with Call-ID %s", escape.String(callID))
	}
	return err
}

func countDialogs(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	f, err := parseFilter(c)
	if err != nil {
		return err
	}
	n, err := control.NewClient(c.String("control")).Count(c.Context, f)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(control.Count{Dialogs: n})
	}
	_, err = fmt.Fprintln(c.App.Writer, n)
	return err
}

// listDialogs prints what f chooses and returns how many there were.
func listDialogs(c *cli.Context, f control.Filter) (n int, err error) {
	client := control.NewClient(c.String("control"))
	out := bufio.NewWriter(c.App.Writer)
	if c.Bool("json") {
		err = client.Dialogs(c.Context, f, func(line []byte) error {
			n++
			out.Write(line)
			return out.WriteByte('\n')
		})
	} else {
		n, err = tableOfDialogs(c.Context, client, f, newSheet(c).to(out))
	}
	return n, errors.Join(err, out.Flush())
}

// tableRows is how many rows share one set of column widths: a list may be too long to keep for measuring.
const tableRows = 500

func tableOfDialogs(ctx context.Context, client *control.Client, f control.Filter, out sheet) (n int, err error) {
	// Call-IDs of usual length stay whole: people copy them, and look for them with grep.
	g := out.grid(heading{name: "CALL-ID", least: 40}, heading{name: "STATE"}, heading{name: "AGE"}, heading{name: "LEFT", spare: 1},
		heading{name: "FROM", least: 10, spare: 2}, heading{name: "TO", least: 10, spare: 3})
	now := time.Now()
	err = client.Dialogs(ctx, f, func(line []byte) error {
		var d control.Dialog
		if err := json.Unmarshal(line, &d); err != nil {
			return fmt.Errorf("list: %w", err)
		}
		n++
		age := "-"
		if d.Start != 0 {
			age = span(time.Unix(int64(d.Start), 0), now)
		}
		g.row(control.Printable(string(d.CallID)), dialog.State(d.State), age, span(now, time.Unix(int64(d.Timeout), 0)),
			control.Printable(string(d.FromURI)), control.Printable(string(d.ToURI)))
		if n%tableRows == 0 {
			return g.flush()
		}
		return nil
	})
	if n%tableRows > 0 {
		err = errors.Join(err, g.flush())
	}
	return n, err
}

// span renders the time between two moments to the second, and in days where it is long; "0s" where it is over.
func span(from, to time.Time) string {
	d := max(to.Sub(from), 0).Truncate(time.Second)
	if d >= 48*time.Hour {
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	}
	return d.String()
}
