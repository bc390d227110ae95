package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/urfave/cli/v2"

	"binrepd/bpf"
	"binrepd/userspace/in/gate"
	"binrepd/userspace/watch/control"
)

const categorySources = "Sources"

// sourceFlags are those of run that say who may speak, and how much.
func sourceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{
			Name: "allow", Category: categorySources,
			Usage: "take packets only from `CIDR`, such as 10.0.0.0/24, 2001:db8::/64 or one address; repeat for more. BIN has no other " +
				"protection: without this flag, whoever reaches the port can create and end dialogs here",
			DefaultText: "every source",
		},
		&cli.IntFlag{
			Name: "source-rate", Category: categorySources, DefaultText: "no limit",
			Usage: "take at most `N` packets a second from each source address, in bursts of up to a tenth of that, at least 100; the rest is " +
				"dropped and counted; that is no reason for LOSING",
		},
	}
}

func parseSources(c *cli.Context) (list []netip.Prefix, rate int, err error) {
	for _, s := range c.StringSlice("allow") {
		p, err := gate.ParsePrefix(s)
		if err != nil {
			return nil, 0, fmt.Errorf("--allow %s: %w", s, err)
		}
		list = append(list, p)
	}
	if len(list) > bpf.MaxAllowed {
		return nil, 0, fmt.Errorf("--allow: %d prefixes are too many; at most %d", len(list), bpf.MaxAllowed)
	}
	rate = c.Int("source-rate")
	if c.IsSet("source-rate") && (rate < 1 || rate > bpf.MaxRate) {
		return nil, 0, fmt.Errorf("--source-rate %d: choose 1 to %d packets a second; leave it out for no limit", rate, bpf.MaxRate)
	}
	return list, rate, nil
}

// burst is how many packets a source may send at once: proxies send the events of one moment together.
func burst(rate int) int { return max(rate/10, 100) }

func allowCommand() *cli.Command {
	change := func(name, usage string, request func([]string) control.AllowRequest) *cli.Command {
		return &cli.Command{
			Name: name, Usage: usage, ArgsUsage: "CIDR...", Flags: []cli.Flag{jsonFlag("print {\"allow\": [...]}"), controlFlag()},
			Action: func(c *cli.Context) error {
				if !c.Args().Present() {
					return usageErrorf("%s takes prefixes or addresses: see %[1]s --help", c.Command.HelpName)
				}
				for _, s := range c.Args().Slice() {
					if _, err := gate.ParsePrefix(s); err != nil {
						return usageErrorf("%s: %w", s, err)
					}
				}
				list, err := control.NewClient(c.String("control")).Allow(c.Context, request(c.Args().Slice()))
				if err != nil {
					return err
				}
				return printAllowed(c, list)
			},
		}
	}
	return &cli.Command{
		Name: "allow", Usage: "show and change from whom the running appliance takes packets",
		Description: "A change lasts until the appliance ends; what is to last longer belongs into --allow of run.",
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list from whom packets are taken", Flags: []cli.Flag{jsonFlag("print {\"allow\": [...]}"), controlFlag()},
				Before: noArguments,
				Action: func(c *cli.Context) error {
					list, err := control.NewClient(c.String("control")).Allowed(c.Context)
					if err != nil {
						return err
					}
					return printAllowed(c, list)
				},
			},
			change("add", "take packets from these, too; the first makes it no longer everyone",
				func(s []string) control.AllowRequest { return control.AllowRequest{Add: s} }),
			change("remove", "take packets from these no more",
				func(s []string) control.AllowRequest { return control.AllowRequest{Remove: s} }),
		},
	}
}

func printAllowed(c *cli.Context, list control.AllowList) error {
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(list)
	}
	if len(list.Allow) == 0 {
		fmt.Fprintln(c.App.Writer, "everyone")
	}
	for _, s := range list.Allow {
		fmt.Fprintln(c.App.Writer, s)
	}
	return nil
}

// allowed is who may speak.
func (in *input) allowed() control.AllowList {
	list := control.AllowList{Allow: []string{}}
	for _, p := range in.gate.Allowed() {
		list.Allow = append(list.Allow, p.String())
	}
	return list
}

// allow carries out one request.
func (in *input) allow(_ context.Context, req control.AllowRequest) (control.AllowList, error) {
	in.allowing.Lock()
	defer in.allowing.Unlock()
	list, err := changeAllowed(in.gate.Allowed(), req)
	if err != nil {
		return control.AllowList{}, &control.RequestError{Err: err}
	}
	if err := in.setAllowed(list); err != nil {
		return control.AllowList{}, err
	}
	in.log.Info("who may speak has changed", "added", req.Add, "removed", req.Remove, "prefixes", len(list))
	return in.allowed(), nil
}

// setAllowed makes list the list in force, on both ways in.
func (in *input) setAllowed(list []netip.Prefix) error {
	if in.program != nil {
		if err := in.program.Allow(list); err != nil {
			return err
		}
	}
	in.gate.Allow(list)
	return nil
}

// changeAllowed returns what req makes of list.
func changeAllowed(list []netip.Prefix, req control.AllowRequest) ([]netip.Prefix, error) {
	for _, s := range req.Add {
		p, err := gate.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	for _, s := range req.Remove {
		p, err := gate.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		i := slices.Index(list, p)
		if i < 0 {
			return nil, fmt.Errorf("%s is not on the list: see binrepd allow list", p)
		}
		list = slices.Delete(list, i, i+1)
	}
	switch {
	case len(list) == 0:
		return nil, errors.New("with nothing on the list everyone could speak: if that is wanted, add 0.0.0.0/0 and ::/0")
	case len(list) > bpf.MaxAllowed:
		return nil, fmt.Errorf("%d prefixes are too many; at most %d", len(list), bpf.MaxAllowed)
	}
	return list, nil
}

// topRefused is how many sources status names.
const topRefused = 10

// refusals fills in who was turned away, on either way.
func (in *input) refusals(s *control.Status) {
	s.Allow, s.SourceRate = in.allowed().Allow, in.options.SourceRate
	var denied, limited []bpf.SourceCount
	if in.program != nil {
		// Errors mean that the maps are gone with the program: the process is ending.
		denied, _ = in.program.Denied()
		limited, _ = in.program.Limited()
	}
	s.Denied = mostRefused(denied, in.gate.Denied())
	s.RateLimited = mostRefused(limited, in.gate.Limited())
}

// mostRefused adds up what both ways turned away, and returns the ten sources with most.
func mostRefused(xdp []bpf.SourceCount, sockets []gate.Count) []control.RefusedSource {
	sum := map[netip.Addr]uint64{}
	for _, c := range xdp {
		sum[c.Source] += c.Datagrams
	}
	for _, c := range sockets {
		sum[c.Source] += c.Datagrams
	}
	list := make([]control.RefusedSource, 0, len(sum))
	for source, n := range sum {
		list = append(list, control.RefusedSource{Address: source.String(), Datagrams: n})
	}
	slices.SortFunc(list, func(a, b control.RefusedSource) int {
		return cmp.Or(cmp.Compare(b.Datagrams, a.Datagrams), cmp.Compare(a.Address, b.Address))
	})
	return list[:min(len(list), topRefused)]
}
