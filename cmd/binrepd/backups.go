package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/host/hostport"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/watch/control"
)

func backupsCommand() *cli.Command {
	change := func(do, usage string, flags ...cli.Flag) *cli.Command {
		return outlivesOutput(&cli.Command{
			Name: do, Usage: usage, ArgsUsage: "HOST:PORT", Flags: append(flags, jsonFlag("print {\"backups\": [...]}"), wideFlag(), controlFlag()),
			Action: func(c *cli.Context) error {
				if c.NArg() != 1 {
					return usageErrorf("%s takes one backup: see %[1]s --help", c.Command.HelpName)
				}
				req, err := parseBackup(c, do)
				if err != nil {
					return usageErrorf("%w", err)
				}
				list, err := control.NewClient(c.String("control")).ChangeBackups(c.Context, req)
				if err != nil {
					return err
				}
				return printBackupList(c, list)
			},
		})
	}
	return &cli.Command{
		Name: "backups", Usage: "show and change the backups that the running appliance passes events on to",
		Description: "A change lasts until the appliance ends. For a lasting change, set --replicate-to of run.\n" +
			"A backup that is added gets what happens from now on: fill it with binrepd sync.",
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the backups and how they stand", Flags: []cli.Flag{jsonFlag("print {\"backups\": [...]}"), wideFlag(), controlFlag()},
				Before: noArguments,
				Action: func(c *cli.Context) error {
					list, err := control.NewClient(c.String("control")).Backups(c.Context)
					if err != nil {
						return err
					}
					return printBackupList(c, list)
				},
			},
			change(control.BackupAdd, "pass every event on to this one, too",
				&cli.IntFlag{Name: "rate", Usage: "send at most `N` events a second", DefaultText: "no limit"},
				&cli.StringSliceFlag{Name: "rewrite-socket", Usage: "replace a proxy's socket on the way out, `OLD=NEW`; repeat for more"},
				clearByeFlag("")),
			change(control.BackupRemove, "pass nothing on to it any more; what waits for it is dropped"),
			change(control.BackupPause, "keep its events in the queue (--replicate-queue of run); the oldest are dropped when that is full, and counted"),
			change(control.BackupResume, "send it what waits, and go on"),
		},
	}
}

func parseBackup(c *cli.Context, do string) (control.BackupRequest, error) {
	req := control.BackupRequest{Do: do, Address: c.Args().First()}
	if _, err := hostport.Parse(req.Address); err != nil {
		return req, fmt.Errorf("%s: %w", req.Address, err)
	}
	if do != control.BackupAdd {
		return req, nil
	}
	req.Rate, req.Rewrites, req.ClearByeOnTimeout = c.Int("rate"), c.StringSlice("rewrite-socket"), c.Bool("clear-bye-on-timeout")
	if c.IsSet("rate") && req.Rate < 1 {
		return req, fmt.Errorf("--rate %d: not a number of events a second, at least 1", req.Rate)
	}
	if _, err := shield.ParseRewrites(req.Rewrites); err != nil {
		return req, fmt.Errorf("--rewrite-socket: %w", err)
	}
	return req, nil
}

func printBackupList(c *cli.Context, list control.BackupList) error {
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(list)
	}
	if len(list.Backups) == 0 {
		fmt.Fprintln(c.App.Writer, "none")
		return nil
	}
	return backupRows(newSheet(c), list.Backups, time.Now())
}
