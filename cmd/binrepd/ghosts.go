package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
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
			"silent        no packet about it came for --times the median age of all dialogs, and at least 5 minutes\n" +
			"timeout       its timeout has passed, and only --expiry-grace of run still keeps it\n" +
			"two_sources   another source has a dialog with the same Call-ID, and sent the more recent packet\n\n" +
			"Ghosts expire at their timeout by themselves. A proxy sends nothing between answer and end of an ordinary call, so a\n" +
			"long call looks the same: read the list before you use --remove.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "times", Value: defaultTimes, Usage: "suspect a dialog that is silent for `N` times the median age"},
			&cli.BoolFlag{
				Name: "remove", DisableDefaultText: true,
				Usage: "end them, here and at the backups; without this flag nothing changes",
			},
			jsonFlag("print one JSON object a line, the last one with the sums"), controlFlag(),
		},
		Before: noArguments,
		Action: showGhosts,
	}
}

func showGhosts(c *cli.Context) error {
	times, err := strconv.ParseFloat(c.String("times"), 64)
	if err != nil || times < 1 || times > 1e6 || times != times {
		return usageErrorf("--times %s: choose a number from 1 to 1000000", c.String("times"))
	}
	if c.Bool("remove") {
		outliveOutput(c)
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	out := json.NewEncoder(c.App.Writer)
	now := time.Now()
	rows := 0
	s, err := control.NewClient(c.String("control")).Ghosts(c.Context, times, c.Bool("remove"), func(g *control.Ghost) error {
		if c.Bool("json") {
			return out.Encode(g)
		}
		if rows == 0 {
			fmt.Fprintln(w, "CALL-ID\tSTATE\tAGE\tSILENT\tLEFT\tSOURCE\tWHY")
		}
		why := strings.Join(g.Reasons, ", ")
		if g.Removed {
			why += "; removed"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", control.Printable(string(g.CallID)), dialog.State(g.State),
			span(time.Unix(int64(g.Start), 0), now), span(time.Unix(int64(g.Updated), 0), now),
			span(now, time.Unix(int64(g.Timeout), 0)), g.Origin, why)
		if rows++; rows%tableRows == 0 {
			return w.Flush()
		}
		return nil
	})
	if err = errors.Join(err, w.Flush()); err != nil {
		return err
	}
	if c.Bool("json") {
		return out.Encode(s)
	}
	done := "none removed: that is what --remove does"
	if c.Bool("remove") {
		done = humanize.Comma(int64(s.Removed)) + " removed"
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s suspects among %s dialogs, whose median age is %s; silent for more than %s is suspect; %s\n",
		humanize.Comma(int64(s.Suspects)), humanize.Comma(int64(s.Dialogs)), seconds(s.MedianAge), seconds(s.Silent), done)
	return err
}
