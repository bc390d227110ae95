package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/dialog"
	"binrepd/userspace/watch/control"
)

const defaultTimes = "10"

func ghostsCommand() *cli.Command {
	return &cli.Command{
		Name: "ghosts", Usage: "list dialogs that look like calls whose end was lost",
		Description: "A live dialog is suspect for one of these reasons:\n" +
			"silent        no packet about it came for --times the median length of the ended calls of its source that are still\n" +
			"              remembered, and at least 5 minutes. If a source has fewer than 10 of them, those of all sources count,\n" +
			"              and if these are too few, 2 hours. --silent sets the time itself\n" +
			"before        no packet about it came since --before\n" +
			"timeout       its timeout has passed, and only --expiry-grace of run still keeps it\n" +
			"two_sources   another source has a dialog with the same Call-ID, and sent the more recent packet\n" +
			"dropped       its cluster node accepted it before it was synced, and may have dropped it at the end of that; binrepd asks\n" +
			"              the node for a sync, and ends what the node hasn't\n\n" +
			"Ghosts expire at their timeout by themselves. A proxy sends nothing between answer and end of an ordinary call, so a\n" +
			"long call looks the same: read the list before you use --remove.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "times", Value: defaultTimes, Usage: "suspect a dialog that is silent for `N` times the median length of an ended call"},
			&cli.DurationFlag{Name: "silent", DefaultText: "by --times", Usage: "suspect a dialog that is silent for longer than `DURATION`, such as 2h"},
			&cli.StringFlag{Name: "origin", Usage: "only dialogs of this source, `HOST[:PORT]`"},
			&cli.StringFlag{
				Name: "before", Usage: "suspect a dialog that had no packet since `TIME`, such as 2026-11-28T03:00:00Z: the restart of the proxy that --origin names",
			},
			&cli.BoolFlag{
				Name: "remove", DisableDefaultText: true,
				Usage: "end them, here and at the backups; without this flag nothing changes",
			},
			jsonFlag("print one JSON object a line, the last one with the sums"), wideFlag(), controlFlag(),
		},
		Before: noArguments,
		Action: showGhosts,
	}
}

func showGhosts(c *cli.Context) error {
	query, err := parseGhosts(c)
	if err != nil {
		return usageErrorf("%w", err)
	}
	if c.Bool("remove") {
		outliveOutput(c)
	}
	g := newSheet(c).grid(heading{name: "CALL-ID", least: 40}, heading{name: "STATE"}, heading{name: "AGE"}, heading{name: "SILENT"},
		heading{name: "LEFT", spare: 2}, heading{name: "SOURCE", least: 13, spare: 1}, heading{name: "WHY"})
	out := json.NewEncoder(c.App.Writer)
	now := time.Now()
	rows := 0
	s, err := control.NewClient(c.String("control")).Ghosts(c.Context, query, c.Bool("remove"), func(d *control.Ghost) error {
		if c.Bool("json") {
			return out.Encode(d)
		}
		why := strings.Join(d.Reasons, ", ")
		if d.Removed {
			why += "; removed"
		}
		g.row(control.Printable(string(d.CallID)), dialog.State(d.State), span(time.Unix(int64(d.Start), 0), now),
			span(time.Unix(int64(d.Updated), 0), now), span(now, time.Unix(int64(d.Timeout), 0)), d.Origin, why)
		if rows++; rows%tableRows == 0 {
			return g.flush()
		}
		return nil
	})
	if !c.Bool("json") && rows > 0 {
		err = errors.Join(err, g.flush())
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return out.Encode(s)
	}
	done := "none removed: that is what --remove does"
	if c.Bool("remove") {
		done = humanize.Comma(int64(s.Removed)) + " removed"
	}
	if _, err = fmt.Fprintf(c.App.Writer, "%s suspects among %s dialogs; %s\n",
		humanize.Comma(int64(s.Suspects)), humanize.Comma(int64(s.Dialogs)), done); err != nil {
		return err
	}
	for _, o := range s.Sources {
		if _, err = fmt.Fprintf(c.App.Writer, "  %s: %s dialogs; silent for more than %s is suspect, by %s ended calls\n",
			o.Origin, humanize.Comma(int64(o.Dialogs)), seconds(o.Silent), humanize.Comma(int64(o.Ended))); err != nil {
			return err
		}
	}
	return nil
}

func parseGhosts(c *cli.Context) (q control.GhostQuery, err error) {
	if q.Times, err = strconv.ParseFloat(c.String("times"), 64); err != nil || q.Times < 1 || q.Times > 1e6 || q.Times != q.Times {
		return q, fmt.Errorf("--times %s: choose a number from 1 to 1000000", c.String("times"))
	}
	if q.Silent = c.Duration("silent"); c.IsSet("silent") && q.Silent <= 0 {
		return q, fmt.Errorf("--silent %s: choose a time above 0, such as 2h", q.Silent)
	}
	if text := c.String("origin"); text != "" {
		if q.Origin, err = netip.ParseAddrPort(text); err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return q, fmt.Errorf("--origin %s: not an address, nor ADDRESS:PORT", text)
			}
			q.Origin = netip.AddrPortFrom(addr, 0)
		}
	}
	if text := c.String("before"); text != "" {
		if q.Before, err = time.Parse(time.RFC3339, text); err != nil {
			return q, fmt.Errorf("--before %s: not a time with date and zone, such as 2026-11-28T03:00:00Z", text)
		}
	}
	return q, nil
}
