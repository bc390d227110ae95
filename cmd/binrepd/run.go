package main

import (
	"io"
	"log/slog"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/in/thread"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "receive dialogs, in the foreground, until SIGTERM or SIGINT",
		Description: "Receives BIN packets at the listen addresses and keeps the dialogs that they tell of.\n" +
			"What the XDP program can't take whole, and everything where there is no XDP, comes\n" +
			"through ordinary sockets, which are always open.\n\n" +
			"Each flag can also be given as the environment variable in brackets; the command line\n" +
			"wins. On SIGTERM or SIGINT it takes nothing new, applies what had arrived, writes its\n" +
			"final account to the log and exits with 0.",
		Flags:  runFlags(),
		Before: noArguments,
		Action: func(c *cli.Context) error {
			o, err := parseOptions(c)
			if err != nil {
				return err
			}
			h, err := readHost()
			if err != nil {
				return err
			}
			if err := o.resolve(h); err != nil {
				return err
			}
			log := newLogger(c.App.ErrWriter, o)
			if o.ShardsAsked != 0 {
				log.Info("shards rounded up to a multiple of the rings",
					"asked", o.ShardsAsked, "shards", o.Shards, "rings", o.Rings)
			}
			allowed, err := thread.Allowed()
			if err != nil {
				return err
			}
			if err := checkCPUs(o.CPUs, allowed); err != nil {
				return err
			}
			makeRoom(o.Rings)
			return serve(c.Context, o, log)
		},
	}
}

// newLogger returns the daemon's logger, which writes to w.
func newLogger(w io.Writer, o options) *slog.Logger {
	conf := &slog.HandlerOptions{Level: o.LogLevel}
	if o.LogFormat == logJSON {
		return slog.New(slog.NewJSONHandler(w, conf))
	}
	return slog.New(slog.NewTextHandler(w, conf))
}
