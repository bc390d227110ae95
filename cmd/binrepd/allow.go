package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/in/gate"
	"binrepd/userspace/watch/control"
)

func allowCommand() *cli.Command {
	change := func(name, usage string, request func([]string) control.AllowRequest) *cli.Command {
		return outlivesOutput(&cli.Command{
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
		})
	}
	return &cli.Command{
		Name: "allow", Usage: "show and change the sources that the running appliance takes packets from",
		Description: "A change lasts until the appliance ends. For a lasting change, set --allow of run.",
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the sources that packets are taken from", Flags: []cli.Flag{jsonFlag("print {\"allow\": [...]}"), controlFlag()},
				Before: noArguments,
				Action: func(c *cli.Context) error {
					list, err := control.NewClient(c.String("control")).Allowed(c.Context)
					if err != nil {
						return err
					}
					return printAllowed(c, list)
				},
			},
			change("add", "take packets from these, too; after the first, other sources are refused",
				func(s []string) control.AllowRequest { return control.AllowRequest{Add: s} }),
			change("remove", "refuse packets from these again",
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
