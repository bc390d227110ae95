package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/watch/doctor"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "tell whether this host and its interfaces can run binrepd, and what to change",
		Description: "Examines the kernel, the capabilities that it holds and each interface that you name. It\n" +
			"attaches the XDP program to each interface, natively and generically, and removes it again.\n" +
			"Some network cards drop their link for a second or two when a program is attached\n" +
			"natively: examine such a card before it carries traffic.\n\n" +
			"Then it advises on what makes the appliance faster, with the command for each: queues,\n" +
			"interrupts and their CPUs, offloads, clocks, the CPUs of the workers. If an appliance runs\n" +
			"here, it judges the size of its rings by the rate of events and by how full they have been.\n\n" +
			"Exit status 0: the appliance runs at full function, through XDP; warnings cost at most\n" +
			"speed. 1: a problem must be solved first, or only plain sockets would work.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{
				Name:  "interface",
				Usage: "examine network interface `NAME`; repeat for more",
			},
			&cli.DurationFlag{
				Name: "stall", Value: doctor.DefaultStall,
				Usage: "advise rings large enough for `DURATION` without a worker reading them, up to 1m",
			},
			jsonFlag("print one JSON object"),
			controlFlag(),
		},
		Before: noArguments,
		Action: func(c *cli.Context) error {
			names := c.StringSlice("interface")
			if len(names) == 0 {
				return usageErrorf("--interface: say which interface to examine, such as --interface eth0")
			}
			stall := c.Duration("stall")
			if stall <= 0 || stall > time.Minute {
				return usageErrorf("--stall %s: choose more than 0s, up to 1m", stall)
			}
			r, err := doctor.Examine(c.Context, doctor.Config{Interfaces: names, Control: c.String("control"), Stall: stall})
			if err != nil {
				return fmt.Errorf("--%w", err) // it begins with "interface"
			}
			if c.Bool("json") {
				enc := json.NewEncoder(c.App.Writer)
				enc.SetIndent("", "  ")
				err = enc.Encode(r)
			} else {
				err = printReport(c.App.Writer, &r)
			}
			if err != nil {
				return fmt.Errorf("report: %w", err)
			}
			if n := r.Problems(); n > 0 {
				return fmt.Errorf("doctor: %d of the findings must be fixed first, each is marked %q", n, doctor.Problem)
			}
			return nil
		},
	}
}

// printReport writes a report for people.
func printReport(w io.Writer, r *doctor.Report) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "host")
	printFindings(tw, r.Findings)
	for _, l := range r.Interfaces {
		fmt.Fprintf(tw, "\n%s\n", l.Interface)
		printFindings(tw, l.Findings)
		fmt.Fprintf(tw, "  --xdp auto would choose %s%s\n", l.Mode, because(l.Reason))
	}
	return tw.Flush()
}

func printFindings(w io.Writer, findings []doctor.Finding) {
	for _, f := range findings {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", f.Status, f.Check, f.Value)
		if f.Advice != "" {
			fmt.Fprintf(w, "  \t\t%s\n", f.Advice)
		}
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
