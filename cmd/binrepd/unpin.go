package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"binrepd/bpf"
)

func unpinCommand() *cli.Command {
	return &cli.Command{
		Name:  "unpin",
		Usage: "detach the XDP program that 'run --pin' left attached, and free its ring buffers",
		Description: "Packets that wait in the ring buffers are lost. From then on packets go to sockets again, if a\n" +
			"process has some open. While an appliance uses the folder, the command refuses: stop it first.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "pin", Usage: "`DIR` that was given to run"},
		},
		Before: noArguments,
		Action: func(c *cli.Context) error {
			dir := c.String("pin")
			if dir == "" {
				return usageErrorf("--pin: say which folder was given to run, such as --pin /sys/fs/bpf/binrepd")
			}
			removed, err := bpf.Unpin(dir)
			if err != nil {
				return fmt.Errorf("unpin: %w", err)
			}
			names := "none"
			if len(removed) > 0 {
				names = strings.Join(removed, " ")
			}
			fmt.Fprintf(c.App.Writer, "%s: %d pins removed: %s\n", dir, len(removed), names)
			return nil
		},
	}
}
