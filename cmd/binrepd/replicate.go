package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/userspace/host/hostport"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/out/shield"
)

const categoryReplicate = "Backups"

// minQueue is the smallest journal that package egress takes.
const minQueue = 1 << 20

// replicateFlags are those of run that say where events go on to.
func replicateFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{
			Name: "replicate-to", Category: categoryReplicate,
			Usage: "pass every event on to `HOST:PORT`, an OpenSIPS or another binrepd; repeat for more",
		},
		&cli.StringSliceFlag{
			Name: "replicate-rate", Category: categoryReplicate,
			Usage: "send at most `[HOST:PORT/]N` events a second, to that backup or else to each", DefaultText: "no limit",
		},
		&cli.StringFlag{
			Name: "replicate-queue", Category: categoryReplicate, Value: "64MiB",
			Usage: "keep `SIZE` of events for backups that are slow or away; a backup that falls further behind loses the oldest, counted",
		},
		&cli.StringSliceFlag{
			Name: "rewrite-socket", Category: categoryReplicate,
			Usage: "replace a proxy's socket on the way out, `[HOST:PORT/]OLD=NEW`, such as udp:10.0.0.1:5060=udp:10.0.0.2:5060, for that backup or " +
				"else for each; repeat for more. OpenSIPS refuses dialogs whose sockets are not its own",
		},
		clearByeFlag("Backups"),
	}
}

func clearByeFlag(category string) cli.Flag {
	return &cli.BoolFlag{
		Name: "clear-bye-on-timeout", Category: category,
		Usage: "clear the flag by which OpenSIPS ends a call when its dialog expires, so that a standby never does",
	}
}

// parseReplicate reads the flags of replicateFlags.
func parseReplicate(c *cli.Context) (list []egress.Destination, queue int, err error) {
	for _, address := range c.StringSlice("replicate-to") {
		if err := validateDestination(address); err != nil {
			return nil, 0, fmt.Errorf("--replicate-to %s: %w", address, err)
		}
		if slices.ContainsFunc(list, func(d egress.Destination) bool { return d.Address == address }) {
			return nil, 0, fmt.Errorf("--replicate-to %s: given twice", address)
		}
		list = append(list, egress.Destination{
			Address: address, Policy: shield.Policy{ClearByeOnTimeout: c.Bool("clear-bye-on-timeout")},
		})
	}
	rules := make([][]string, len(list))
	err = eachFor(c, "rewrite-socket", list, func(i int, rule string) error {
		rules[i] = append(rules[i], rule)
		_, err := shield.ParseRewrites(rules[i])
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	err = eachFor(c, "replicate-rate", list, func(i int, text string) error {
		rate, err := strconv.Atoi(text)
		if err != nil || rate < 1 {
			return errors.New("not a number of events a second, at least 1")
		}
		list[i].Rate = rate
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	for i := range list {
		if list[i].Policy.Rewrites, err = shield.ParseRewrites(rules[i]); err != nil {
			return nil, 0, fmt.Errorf("--rewrite-socket: %w", err)
		}
	}
	size, err := humanize.ParseBytes(c.String("replicate-queue"))
	if err != nil || size < minQueue || size > 1<<40 {
		return nil, 0, fmt.Errorf("--replicate-queue %s: not a size of at least 1MiB; write 64MiB or a number of bytes", c.String("replicate-queue"))
	}
	return list, int(size), nil
}

// eachFor calls fn for each value of a flag and each backup that it is for: the one named in front of a slash, or all.
func eachFor(c *cli.Context, flag string, list []egress.Destination, fn func(i int, value string) error) error {
	for _, text := range c.StringSlice(flag) {
		to, value, named := strings.Cut(text, "/")
		if !named {
			value = text
		}
		found := false
		for i, d := range list {
			if named && d.Address != to {
				continue
			}
			found = true
			if err := fn(i, value); err != nil {
				return fmt.Errorf("--%s %s: %w", flag, text, err)
			}
		}
		switch {
		case !found && named:
			return fmt.Errorf("--%s %s: %s is no --replicate-to", flag, text, to)
		case !found:
			return fmt.Errorf("--%s %s: there is no --replicate-to for it", flag, text)
		}
	}
	return nil
}

// validateDestination checks the form of HOST:PORT; a name is resolved later, and again and again.
func validateDestination(address string) error {
	_, err := hostport.Parse(address)
	return err
}
