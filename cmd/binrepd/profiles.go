package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/userspace/watch/control"
)

func profilesCommand() *cli.Command {
	return &cli.Command{
		Name:  "profiles",
		Usage: "count the live dialogs in each dialog profile, here and at the nodes of clusters",
		Description: "DIALOGS counts the live dialogs that the table holds, whichever proxy handles them. NODES is what each node of a\n" +
			"cluster says itself, if it has profile_replication_cluster; what it doesn't repeat for 10 s is forgotten.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "only the profile `NAME`", DefaultText: "every one"},
			&cli.IntFlag{Name: "limit", Value: 20, Usage: "list the `N` values with the most dialogs of each profile; 0 lists all"},
			jsonFlag("print one JSON object"), controlFlag(),
		},
		Before: noArguments,
		Action: showProfiles,
	}
}

func showProfiles(c *cli.Context) error {
	q := control.ProfileQuery{Name: c.String("name"), Limit: c.Int("limit")}
	if q.Limit < 0 {
		return usageErrorf("--limit %d: 1 or more; 0 for all", q.Limit)
	}
	list, err := control.NewClient(c.String("control")).Profiles(c.Context, q)
	switch {
	case err != nil:
		return err
	case c.Bool("json"):
		return printJSON(c, nil, list)
	}
	return printProfiles(c.App.Writer, &list, time.Now())
}

// printProfiles writes profiles for people.
func printProfiles(out io.Writer, list *control.ProfileList, now time.Time) error {
	if len(list.Profiles) == 0 {
		_, err := fmt.Fprintln(out, "no dialog is in a profile, and no node says that one is")
		return err
	}
	clusters := map[int32]bool{}
	for _, n := range list.Nodes {
		clusters[n.Cluster] = true
	}
	said := func(nodes []control.ProfileOfNode) string {
		var b strings.Builder
		for i, n := range nodes {
			if i > 0 {
				b.WriteString(", ")
			}
			if len(clusters) > 1 {
				fmt.Fprintf(&b, "%d/", n.Cluster)
			}
			fmt.Fprintf(&b, "%d: %s", n.Node, humanize.Comma(int64(n.Dialogs)))
		}
		if len(nodes) == 0 {
			return "-"
		}
		return b.String()
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROFILE\tVALUE\tDIALOGS\tNODES")
	row := func(name, value control.Text, s *control.ProfileSums) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", control.Printable(string(name)), control.Printable(string(value)), humanize.Comma(int64(s.Dialogs)), said(s.Nodes))
	}
	for i := range list.Profiles {
		p := &list.Profiles[i]
		if len(p.Values) == 1 && p.MoreValues == 0 && p.Values[0].Value == "" {
			row(p.Name, "-", &p.ProfileSums)
			continue
		}
		row(p.Name, "(all)", &p.ProfileSums)
		for k := range p.Values {
			row("", p.Values[k].Value, &p.Values[k].ProfileSums)
		}
		if p.MoreValues > 0 {
			fmt.Fprintf(w, "\t(and %s more: see --limit)\t\t\n", humanize.Comma(int64(p.MoreValues)))
		}
	}
	if list.NotCounted > 0 {
		fmt.Fprintf(w, "%s memberships aren't counted: there are too many values; see --name\n", humanize.Comma(int64(list.NotCounted)))
	}
	for _, n := range list.Nodes {
		if silent := now.Sub(n.Last); n.Counts == 0 {
			fmt.Fprintf(w, "node %d of cluster %d has sent no counts for %s\n", n.Node, n.Cluster, silent.Truncate(time.Second))
		}
		if n.Refused > 0 || n.Broken > 0 {
			fmt.Fprintf(w, "node %d of cluster %d: %s counts found no room, %s packets can't be read to their end\n", n.Node, n.Cluster,
				humanize.Comma(int64(n.Refused)), humanize.Comma(int64(n.Broken)))
		}
	}
	return w.Flush()
}
