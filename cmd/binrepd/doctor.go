package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
)

// Status of a finding. A problem keeps the appliance from running at full function, which is: packets come through XDP,
// native or generic, on the interface in question. A warning costs speed or comfort.
const (
	findingOK      = "ok"
	findingWarning = "warning"
	findingProblem = "problem"
)

// finding is one line of doctor's report. Check is a stable name for scripts.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	Value  string `json:"value"`
	Advice string `json:"advice,omitempty"`
}

// report is what doctor prints with --json.
type report struct {
	OK         bool         `json:"ok"`
	Findings   []finding    `json:"findings"`
	Interfaces []linkReport `json:"interfaces"`
}

// linkReport is the part about one interface.
type linkReport struct {
	Interface string    `json:"interface"`
	Mode      string    `json:"mode"`             // what --xdp auto would choose: xdp-native, xdp-generic or socket
	Reason    string    `json:"reason,omitempty"` // why not a better one
	Findings  []finding `json:"findings"`
}

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "tell whether this host and its interfaces can run binrepd, and what to change",
		Description: "Looks at the kernel, at the capabilities held and at each interface that is named, and\n" +
			"tries on the spot whether the XDP program attaches to it, natively and generically. What\n" +
			"it attached it removes. Some network cards drop their link for a second or two when a\n" +
			"program is attached natively: try such a one before it carries traffic.\n\n" +
			"Then it advises on what makes the appliance faster, each with the command for it: queues,\n" +
			"interrupts and their CPUs, offloads, clocks, where consumers run; and, if an appliance runs\n" +
			"here, on the size of its rings by the rate of events and how full they have been.\n\n" +
			"Exit status 0: the appliance runs at full function, through XDP; warnings cost at most\n" +
			"speed. 1: there is a problem to be solved first, or only plain sockets would work.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{
				Name:  "interface",
				Usage: "examine network interface `NAME`; repeat for more",
			},
			&cli.DurationFlag{
				Name: "stall", Value: defaultStall,
				Usage: "advise rings that hold what comes while their consumer stands still for `DURATION`, up to 1m",
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
			r, err := examine(c.Context, names, c.String("control"), stall)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				enc := json.NewEncoder(c.App.Writer)
				enc.SetIndent("", "  ")
				err = enc.Encode(r)
			} else {
				err = r.print(c.App.Writer)
			}
			if err != nil {
				return fmt.Errorf("report: %w", err)
			}
			if n := r.problems(); n > 0 {
				return fmt.Errorf("doctor: %d of the findings must be fixed first, each is marked %q", n, findingProblem)
			}
			return nil
		},
	}
}

// problems counts the findings that are problems.
func (r *report) problems() int {
	n := countProblems(r.Findings)
	for _, l := range r.Interfaces {
		n += countProblems(l.Findings)
	}
	return n
}

func countProblems(findings []finding) int {
	n := 0
	for _, f := range findings {
		if f.Status == findingProblem {
			n++
		}
	}
	return n
}

// print writes the report for people.
func (r *report) print(w io.Writer) error {
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

func printFindings(w io.Writer, findings []finding) {
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
