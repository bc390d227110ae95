package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/userspace/appliance"
	"binrepd/userspace/host/hostport"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/out/shield"
)

// parseReplicate reads the flags about backups.
func parseReplicate(c *cli.Context) (list []egress.Destination, queue int, err error) {
	for _, address := range c.StringSlice("replicate-to") {
		if _, err := hostport.Parse(address); err != nil {
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
	if err != nil || size < appliance.MinQueue || size > 1<<40 {
		return nil, 0, fmt.Errorf("--replicate-queue %s: not a size of at least 1MiB; write 64MiB or a number of bytes", c.String("replicate-queue"))
	}
	return list, int(size), nil
}

// eachFor calls fn for each value of a flag and each backup that the value is for: the one before a slash, or all.
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
