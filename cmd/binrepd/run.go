package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/appliance"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "receive dialogs, in the foreground, until SIGTERM or SIGINT",
		Description: "Receives BIN packets at the listen addresses and keeps the dialogs that they announce. Packets\n" +
			"that the XDP program can't take whole, and all packets where there is no XDP, come through\n" +
			"ordinary sockets, which are always open.\n\n" +
			"Each flag can also be given as the environment variable in brackets; the command line\n" +
			"wins. On SIGTERM or SIGINT it takes no new packets, applies those that have arrived, writes\n" +
			"its final account to the log and exits with 0. On SIGHUP it reads its settings again, as\n" +
			"'binrepd reload' does.",
		Flags:  runFlags(),
		Before: noArguments,
		Action: func(c *cli.Context) error {
			signal.Ignore(syscall.SIGPIPE) // see lossyLog
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			args, _ := c.App.Metadata[argsKey].([]string)
			source := &settings{args: args, file: c.String("settings")}
			o, _, err := source.read()
			if err != nil {
				return err
			}
			log, level := &lossyLog{w: c.App.ErrWriter}, new(slog.LevelVar)
			level.Set(o.LogLevel)
			o.Log, o.LogLost = newLogger(log, level, o.LogFormat), log.lost.Load
			o.SetLogLevel, o.Reread = level.Set, source.reread
			h, err := o.AwaitHost(c.Context)
			if errors.Is(err, context.Canceled) {
				return nil // stopped while it waited
			}
			if err != nil {
				return err
			}
			if err := o.Resolve(h); err != nil {
				return err
			}
			a, err := appliance.Open(c.Context, o.Config)
			if err != nil {
				return err
			}
			running, stop := context.WithCancel(c.Context)
			var reloads sync.WaitGroup
			reloads.Go(func() {
				select {
				case <-running.Done():
				case <-a.Ready():
					reloadOn(running, hangups, a.Reload)
				}
			})
			err = a.Run(c.Context)
			stop()
			reloads.Wait()
			return errors.Join(err, a.Close())
		},
	}
}

// newLogger returns the daemon's logger, which writes to w.
func newLogger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	conf := &slog.HandlerOptions{Level: level}
	if format == logJSON {
		return slog.New(slog.NewJSONHandler(w, conf))
	}
	return slog.New(slog.NewTextHandler(w, conf))
}
