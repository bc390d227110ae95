package main

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/mi"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/takeover"
)

func takeoverCommand() *cli.Command {
	return &cli.Command{
		Name: "takeover", Usage: "make a node of a cluster the active one for a sharing tag, with all its calls",
		Description: "The steps are: table (the dialogs here are complete), node (it is up and synced), tag (the node knows it), sockets (the node\n" +
			"has those of the calls, or they are replaced), send (its calls, to the node), activate. A step that fails is the last one, and\n" +
			"says what to do. Without --activate nothing is changed, and send is a dry run.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "cluster", Usage: "the cluster with the id `N`"},
			&cli.IntFlag{Name: "node", Usage: "the `NODE` that takes over"},
			&cli.StringFlag{Name: "tag", Usage: "the sharing `TAG`, without the cluster"},
			&cli.StringSliceFlag{
				Name: "socket", Usage: "the node has this socket, `PROTO:ADDRESS:PORT`, such as that of an address which moves with the tag; repeat for more. Those of " +
					"calls that it has sent are known",
			},
			&cli.StringSliceFlag{Name: "rewrite-socket", Usage: "replace a socket in what is sent, `OLD=NEW`; repeat for more"},
			&cli.IntFlag{Name: "rate", Value: 4000, Usage: "send at most `N` packets a second; 0: no limit"},
			&cli.BoolFlag{Name: "activate", DisableDefaultText: true, Usage: "do it: send, and make the node active; needs --mi"},
			&cli.StringFlag{Name: "mi", Usage: "the management interface of the node, `URL`, such as http://10.0.0.12:8888/mi"},
			jsonFlag("print one JSON object a line, one for each step"), controlFlag(),
		},
		Before: noArguments, Action: takeOver,
	}
}

func takeOver(c *cli.Context) error {
	p := takeover.Plan{
		Tag: c.String("tag"), Own: c.StringSlice("socket"), Rewrites: c.StringSlice("rewrite-socket"), Rate: c.Int("rate"),
		Activate: c.Bool("activate"),
	}
	for _, needed := range [...]struct {
		name, example string
	}{{"cluster", "1"}, {"node", "2"}, {"tag", "vip"}} {
		if !c.IsSet(needed.name) {
			return usageErrorf("--%s: say which, such as --%[1]s %s", needed.name, needed.example)
		}
	}
	for name, to := range map[string]*int32{"cluster": &p.Cluster, "node": &p.Node} {
		n := c.Int(name)
		if n < 1 || n > math.MaxInt32 {
			return usageErrorf("--%s %d: want a number, 1 or more", name, n)
		}
		*to = int32(n)
	}
	if p.Tag == "" || p.Rate < 0 {
		return usageErrorf("--tag must not be empty, nor --rate below 0")
	}
	if p.Activate != c.IsSet("mi") {
		return usageErrorf("--activate and --mi: one needs the other")
	}
	var proxy takeover.Proxy
	if p.Activate {
		address, err := mi.ParseAddress(c.String("mi"))
		if err != nil {
			return usageErrorf("--mi: %w", err)
		}
		client, err := mi.Connect(c.Context, address)
		if err != nil {
			return fmt.Errorf("--mi: %w", err)
		}
		defer client.Close()
		proxy = client
	}
	out := json.NewEncoder(c.App.Writer)
	return takeover.Run(c.Context, p, control.NewClient(c.String("control")), proxy, func(s takeover.Step) error {
		if c.Bool("json") {
			return out.Encode(s)
		}
		word := "ok"
		if !s.OK {
			word = "FAILED"
			s.Text += ": " + s.Advice
		}
		_, err := fmt.Fprintf(c.App.Writer, "%-8s %-6s %s\n", s.Name, word, control.Printable(s.Text))
		return err
	})
}
