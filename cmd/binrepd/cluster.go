package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/userspace/cluster/member"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/watch/control"
)

func clusterCommand() *cli.Command {
	only := func() cli.Flag {
		return &cli.IntFlag{Name: "cluster", Usage: "only the cluster with the id `N`", DefaultText: "every one"}
	}
	return &cli.Command{
		Name:  "cluster",
		Usage: "show the clusters that this binrepd is in, and fill the table from a node",
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the other nodes of each cluster, with the state of the links",
				Flags:  []cli.Flag{only(), jsonFlag("print one JSON object with the keys of OpenSIPS's clusterer_list, and more"), wideFlag(), controlFlag()},
				Before: noArguments, Action: listNodes,
			},
			{
				Name: "capabilities", Usage: "list what this node and the others replicate, and whether their data are complete",
				Flags:  []cli.Flag{only(), jsonFlag("print one JSON object with the keys of OpenSIPS's clusterer_list_cap, and more"), wideFlag(), controlFlag()},
				Before: noArguments, Action: listCapabilities,
			},
			{
				Name: "tags", Usage: "list the sharing tags, with the node that is active for each",
				Flags:  []cli.Flag{only(), jsonFlag("print one JSON array with the keys of OpenSIPS's clusterer_list_shtags, and more"), wideFlag(), controlFlag()},
				Before: noArguments, Action: listTags,
			},
			{
				Name: "sync", Usage: "ask a node for all its dialogs, and wait for the result",
				Description: "Nobody needs this command in normal operation: binrepd asks by itself when it joins and after every gap.\n" +
					"Progress goes to standard error. Without --from, other nodes are asked if one fails, each once. Exit status: 0 if\n" +
					"a sync was complete, 1 if none was; --json prints the result of the last one in both cases. Ctrl-C ends the\n" +
					"command, not the sync.",
				Flags: []cli.Flag{
					&cli.IntFlag{Name: "cluster", Usage: "in the cluster with the id `N`", DefaultText: "the only one"},
					&cli.IntFlag{Name: "from", Usage: "ask `NODE`", DefaultText: "the first that announces complete dialogs; another if it fails"},
					jsonFlag("print the result as one JSON object"), controlFlag(),
				},
				Before: noArguments, Action: syncCluster,
			},
		},
	}
}

// clusters asks the appliance for the clusters that --cluster chooses.
func clusters(c *cli.Context) ([]control.ClusterStatus, error) {
	s, err := control.NewClient(c.String("control")).Status(c.Context)
	if err != nil {
		return nil, err
	}
	if len(s.Clusters) == 0 {
		return nil, errors.New("this binrepd is in no cluster: see --cluster of run")
	}
	if !c.IsSet("cluster") {
		return s.Clusters, nil
	}
	for _, cluster := range s.Clusters {
		if int(cluster.Cluster) == c.Int("cluster") {
			return []control.ClusterStatus{cluster}, nil
		}
	}
	return nil, fmt.Errorf("this binrepd isn't in cluster %d", c.Int("cluster"))
}

// clusterNodes is the answer of clusterer_list for one cluster.
type clusterNodes struct {
	Cluster int32                 `json:"cluster_id"`
	Nodes   []control.ClusterNode `json:"Nodes"`
}

func listNodes(c *cli.Context) error {
	list, err := clusters(c)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		var all struct{ Clusters []clusterNodes }
		for _, cluster := range list {
			all.Clusters = append(all.Clusters, clusterNodes{cluster.Cluster, cluster.Nodes})
		}
		return printJSON(c, nil, all)
	}
	return printClusters(newSheet(c), list, time.Now())
}

// printClusters writes each cluster with its nodes, for people.
func printClusters(out sheet, list []control.ClusterStatus, now time.Time) error {
	for i := range list {
		s := &list[i]
		if i > 0 {
			fmt.Fprintln(out.out)
		}
		state := ""
		if s.State != "enabled" {
			state = ", " + s.State
		}
		out.line("cluster %d: this is node %d, %s%s", s.Cluster, s.Node, s.URL, state)
		if s.OwnIDFrom.IsValid() {
			out.line("%s used the id of this node %s ago: give one of the two another id", s.OwnIDFrom, span(s.OwnIDAt, now))
		}
		text := s.Sync.Text
		if s.Sync.Incomplete != "" {
			text = "INCOMPLETE: " + s.Sync.Incomplete + "; now " + s.Sync.State
		} else if s.Sync.State == member.SyncIdle && !s.Sync.Last.Ended.IsZero() {
			text += fmt.Sprintf(" (%s), %s ago", s.Sync.Last.Reason, span(s.Sync.Last.Ended, now))
		}
		out.line("sync: %s", control.Printable(text))
		out.line("donor: %s", control.Printable(donorText(&s.Donor)))
		if refused := nonZero(s.Refused); refused != "" {
			out.line("refused: %s", refused)
		}
		g := out.grid(heading{name: "NODE"}, heading{name: "URL", least: 26}, heading{name: "LINK"}, heading{name: "SINCE", spare: 1},
			heading{name: "RELEASES", least: 8, spare: 3},
			heading{name: "LAYOUT", least: 8, spare: 6}, heading{name: "CONNECTIONS", spare: 5}, heading{name: "EVENTS"},
			heading{name: "PER SECOND", spare: 2}, heading{name: "REJECTED"}, heading{name: "CLOCK", spare: 4}, heading{name: "LAST EVENT"})
		for k := range s.Nodes {
			addNode(g, &s.Nodes[k], now)
		}
		if err := g.flush(); err != nil {
			return err
		}
		for k := range s.Nodes {
			if n := &s.Nodes[k]; n.Dialing != "" && n.LinkState != membership.Up {
				out.line("node %d: %s", n.Node, control.Printable(n.Dialing))
			}
		}
	}
	return nil
}

// donorText says whether nodes may ask for all dialogs, why, and how it went.
func donorText(d *member.DonorStatus) string {
	text := "not announced"
	if d.Announce {
		text = "announced"
	}
	text = fmt.Sprintf("%s (%s): %s", text, d.Mode, d.Why)
	for _, r := range d.Running {
		text += fmt.Sprintf("; sending to node %d, %d dialogs so far", r.Node, r.Dialogs)
	}
	if len(d.Owed) > 0 {
		text += fmt.Sprintf("; nodes %v wait", d.Owed)
	}
	if l := &d.Last; l.Node != 0 {
		text += fmt.Sprintf("; last to node %d, %d dialogs", l.Node, l.Dialogs)
		if l.Failed != "" {
			text += ", broken off: " + l.Failed
		}
		if n := l.Refused(); n > 0 {
			text += fmt.Sprintf(", %d held back %v", n, l.Sockets)
		}
	}
	return text
}

func addNode(g *grid, n *control.ClusterNode, now time.Time) {
	link := string(n.LinkState)
	if n.State != "enabled" {
		link = n.State
	}
	layout := "-"
	if n.Layout != "" {
		layout = n.Layout
		if !n.Decided {
			layout += " (or another)"
		}
	}
	g.row(n.Node, control.Printable(n.URL), link, span(n.LinkSince, now)+" ago", n.Releases, control.Printable(layout), n.Connections, n.Events,
		fmt.Sprintf("%.1f", n.Rate), n.Rejected, clockText(n.Skew), lastText(n.Last, now))
}

// clusterCapabilities is the answer of clusterer_list_cap for one cluster, and the same of each other node.
type clusterCapabilities struct {
	Cluster      int32                         `json:"cluster_id"`
	Capabilities []membership.CapabilityStatus `json:"Capabilities"`
	Nodes        []nodeCapabilities            `json:"Nodes"`
}

type nodeCapabilities struct {
	Node         int32                         `json:"node_id"`
	Capabilities []membership.CapabilityStatus `json:"Capabilities"`
}

func listCapabilities(c *cli.Context) error {
	list, err := clusters(c)
	if err != nil {
		return err
	}
	var all struct{ Clusters []clusterCapabilities }
	for i := range list {
		s := &list[i]
		caps := clusterCapabilities{Cluster: s.Cluster, Capabilities: s.Capabilities, Nodes: []nodeCapabilities{}}
		for k := range s.Nodes {
			caps.Nodes = append(caps.Nodes, nodeCapabilities{s.Nodes[k].Node, s.Nodes[k].Capabilities})
		}
		all.Clusters = append(all.Clusters, caps)
	}
	if c.Bool("json") {
		return printJSON(c, nil, all)
	}
	g, now := newSheet(c).grid(heading{name: "CLUSTER"}, heading{name: "NODE"}, heading{name: "CAPABILITY", least: 16}, heading{name: "STATE"},
		heading{name: "SINCE"}), time.Now()
	for i, caps := range all.Clusters {
		add := func(node string, list []membership.CapabilityStatus) {
			for _, one := range list {
				g.row(caps.Cluster, node, control.Printable(one.Name), one.State, span(one.Since, now)+" ago")
			}
		}
		add(fmt.Sprintf("%d (this)", list[i].Node), caps.Capabilities)
		for _, n := range caps.Nodes {
			add(fmt.Sprint(n.Node), n.Capabilities)
		}
	}
	return g.flush()
}

func listTags(c *cli.Context) error {
	list, err := clusters(c)
	if err != nil {
		return err
	}
	tags := []membership.TagStatus{}
	for i := range list {
		tags = append(tags, list[i].Tags...)
	}
	if c.Bool("json") {
		return printJSON(c, nil, tags)
	}
	return printTags(newSheet(c), tags, time.Now())
}

// printTags writes sharing tags for people. This node is never active for one.
func printTags(out sheet, tags []membership.TagStatus, now time.Time) error {
	g := out.grid(heading{name: "TAG", least: 12}, heading{name: "CLUSTER"}, heading{name: "ACTIVE NODE"}, heading{name: "SINCE"},
		heading{name: "BEFORE", spare: 1}, heading{name: "CONFLICTS", least: 9})
	for i := range tags {
		t := &tags[i]
		before, conflicts := "-", "none"
		if t.Previous != 0 {
			before = fmt.Sprintf("node %d", t.Previous)
		}
		if t.Conflicts > 0 {
			conflicts = fmt.Sprintf("%d, the last one %s ago", t.Conflicts, span(t.LastConflict, now))
		}
		g.row(control.Printable(t.Tag), t.Cluster, t.Active, span(t.Since, now)+" ago", before, conflicts)
	}
	return g.flush()
}

func syncCluster(c *cli.Context) error {
	req := control.ClusterSyncRequest{Cluster: int32(c.Int("cluster")), From: int32(c.Int("from"))}
	switch {
	case c.IsSet("cluster") && (c.Int("cluster") < 1 || c.Int("cluster") > member.MaxCluster):
		return usageErrorf("--cluster %d: not an id from 1 to %d", c.Int("cluster"), member.MaxCluster)
	case c.IsSet("from") && (c.Int("from") < 1 || c.Int("from") > 1<<31-1):
		return usageErrorf("--from %d: not a node id, 1 or more", c.Int("from"))
	}
	show := syncProgress{out: c.App.ErrWriter, last: time.Now()}
	r, err := control.NewClient(c.String("control")).SyncCluster(c.Context, req, show.update)
	if r.Ended.IsZero() { // nothing was asked, or nobody waits for the result any more
		return err
	}
	if c.Bool("json") {
		return errors.Join(err, printJSON(c, nil, r))
	}
	if err == nil {
		_, err = fmt.Fprintf(c.App.Writer, "%s; %s packets, %s\n", control.Printable(r.Text), humanize.Comma(int64(r.Packets)), humanize.IBytes(uint64(r.Bytes)))
	}
	return err
}

// syncProgress shows the progress of a cluster's sync in lines: at once when what happens changes, else every few seconds.
type syncProgress struct {
	out     io.Writer
	last    time.Time
	shown   string // what the last line was about
	dialogs int
}

func (p *syncProgress) update(s member.SyncStatus) {
	about := fmt.Sprint(s.State, s.Donor, s.Failed)
	now := time.Now()
	if s.State == member.SyncIdle || about == p.shown && (now.Sub(p.last) < plainInterval || s.Chunks == p.dialogs) {
		return
	}
	p.last, p.shown, p.dialogs = now, about, s.Chunks
	line := "sync " + control.Printable(s.Text)
	if s.State == member.SyncRunning {
		line = fmt.Sprintf("asked node %d: %s dialogs, %s in %s", s.Donor, humanize.Comma(int64(s.Chunks)), humanize.IBytes(uint64(s.Bytes)),
			now.Sub(s.Since).Round(100*time.Millisecond))
	}
	fmt.Fprintln(p.out, line)
}
