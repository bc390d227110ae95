package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/bench"
)

const (
	categoryBench = "What to measure"
	categorySend  = "What to send, and where to"
)

func benchCommand() *cli.Command {
	return &cli.Command{
		Name:  "bench",
		Usage: "measure how fast this host is, part by part and whole",
		Description: "Measures each part of the appliance on this host with generated traffic, and compares it with the\n" +
			"best that the part could do and with a plain receiver. It needs no network card: frames go through\n" +
			"the XDP program by test runs, and over a veth pair between two network namespaces made for it.\n" +
			"The host's network stays untouched. All of it takes about two minutes and 3 GB.\n\n" +
			"The marked stages need root; the others don't.\n\n" + stageList(),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "stages", Category: categoryBench, DefaultText: "all", Usage: "measure only `STAGES`, such as whole,live"},
			&cli.IntFlag{
				Name: "dialogs", Category: categoryBench, Value: bench.DefaultDialogs, Usage: "have `N` dialogs live, 1000 to 20000000; a million take half a GB",
			},
			&cli.IntFlag{Name: "runs", Category: categoryBench, Value: bench.DefaultRuns, Usage: "show medians of `N` rounds"},
			&cli.BoolFlag{
				Name: "large", Category: categoryBench, DisableDefaultText: true,
				Usage: "measure memory and the growth of cost with ten million dialogs, too; takes 8 GB and some minutes",
			},
			jsonFlag("print one JSON object"),
		},
		Subcommands: []*cli.Command{generateCommand()},
		Action:      runBench,
	}
}

func stageList() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	names, about, privileged := bench.Stages()
	for i := range names {
		mark := ""
		if privileged[i] {
			mark = "root"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", names[i], mark, about[i])
	}
	_ = w.Flush() // into a string
	return strings.TrimRight(text.String(), "\n")
}

func runBench(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	_, commit := buildVersion()
	if commit == "" {
		commit = "not recorded (make build does)"
	}
	if err := positive(c, "dialogs", "runs"); err != nil {
		return err
	}
	cfg := bench.Config{
		Dialogs: c.Int("dialogs"), Runs: c.Int("runs"), Large: c.Bool("large"), Commit: commit,
		Metrics: benchMetrics, Progress: c.App.ErrWriter,
	}
	if s := c.String("stages"); s != "" {
		cfg.Stages = strings.Split(s, ",")
	}
	if err := cfg.Validate(); err != nil {
		return usageErrorf("--%w", err)
	}
	report, err := bench.Run(c.Context, cfg)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if c.Bool("json") {
		return report.JSON(c.App.Writer)
	}
	return report.Text(c.App.Writer)
}

// positive refuses flags that are given as 0 or less. To package bench 0 means the default, which isn't what 0 says here.
func positive(c *cli.Context, names ...string) error {
	for _, name := range names {
		var n int64
		switch v := c.Value(name).(type) {
		case int:
			n = int64(v)
		case time.Duration:
			n = int64(v)
		}
		if c.IsSet(name) && n <= 0 {
			return usageErrorf("--%s %v: must be above 0", name, c.Value(name))
		}
	}
	return nil
}

func generateCommand() *cli.Command {
	return &cli.Command{
		Name:  "generate",
		Usage: "send generated traffic of proxies, up to millions of events a second",
		Description: "Makes a network namespace " + bench.GenerateNamespace + " with the address " + bench.GenerateTo().String() + ", waits until something listens\n" +
			"there, sends to it over a veth pair, and removes both. In another terminal:\n\n" +
			"  ip netns exec " + bench.GenerateNamespace + " binrepd run --listen " + bench.GenerateTo().String() + "\n\n" +
			"It sends nowhere else, unless --interface names an interface: then frames leave the host there, as\n" +
			"fast as --rate says. Needs root.\n\n" +
			"It reports the events that the driver took, by the interface's count of sent packets.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "rate", Category: categorySend, Value: bench.DefaultGenerateRate, Usage: "send `N` events a second"},
			&cli.DurationFlag{
				Name: "duration", Category: categorySend, Value: bench.DefaultGenerateDuration, DefaultText: "10s", Usage: "stop after `DURATION`",
			},
			&cli.IntFlag{Name: "count", Category: categorySend, DefaultText: "no limit", Usage: "stop after `N` events"},
			&cli.IntFlag{
				Name: "dialogs", Category: categorySend, Value: bench.DefaultGenerateDialogs,
				Usage: "begin with the creation of `N` dialogs, and go on with creations, updates and deletions, a third each",
			},
			&cli.DurationFlag{
				Name: "wait", Category: categorySend, Value: bench.DefaultGenerateWait, DefaultText: "1m", Usage: "wait `DURATION` for the receiver",
			},
			&cli.StringFlag{Name: "interface", Category: categorySend, Usage: "send from network interface `NAME` of this host, whose driver must have native XDP"},
			&cli.StringFlag{Name: "to", Category: categorySend, Usage: "send to `ADDRESS:PORT`, with --interface only; IPv4"},
			&cli.StringFlag{Name: "mac", Category: categorySend, Usage: "send to Ethernet address `MAC`, the receiver's or its router's, with --interface only"},
			jsonFlag("print one JSON object"),
		},
		Action: runGenerate,
	}
}

func runGenerate(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if err := positive(c, "rate", "duration", "dialogs", "wait"); err != nil {
		return err
	}
	cfg := bench.GenerateConfig{
		Rate: c.Int("rate"), Duration: c.Duration("duration"), Count: c.Int("count"), Dialogs: c.Int("dialogs"), Wait: c.Duration("wait"),
		Interface: c.String("interface"), Progress: c.App.ErrWriter,
	}
	if err := parseTarget(c, &cfg); err != nil {
		return usageErrorf("%w", err)
	}
	if err := cfg.Validate(); err != nil {
		return usageErrorf("--%w", err)
	}
	sent, err := bench.Generate(c.Context, cfg)
	if err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(sent)
	}
	return printGenerated(c.App.Writer, &sent)
}

func parseTarget(c *cli.Context, cfg *bench.GenerateConfig) (err error) {
	if s := c.String("to"); s != "" {
		if cfg.To, err = netip.ParseAddrPort(s); err != nil {
			return fmt.Errorf("--to %s: not ADDRESS:PORT", s)
		}
	}
	if s := c.String("mac"); s != "" {
		mac, err := net.ParseMAC(s)
		if err == nil && len(mac) != len(cfg.MAC) {
			err = errors.New("wrong length")
		}
		if err != nil {
			return fmt.Errorf("--mac %s: not an Ethernet address such as 02:00:00:00:00:01", s)
		}
		cfg.MAC = [6]byte(mac)
	}
	return nil
}

func printGenerated(w io.Writer, g *bench.Generated) error {
	_, err := fmt.Fprintf(w, "sent %d events in %.2f s, %.0f a second: %d creations, %d updates, %d deletions; %d dialogs are live\n",
		g.Events, g.Seconds, g.PerSecond, g.Creates, g.Updates, g.Deletes, g.Live)
	if missing := g.Queued - g.Events; err == nil && missing > 0 {
		_, err = fmt.Fprintf(w, "%d of %d events were not taken by the driver, by its count of sent packets: its queue was full, or it doesn't count them\n",
			missing, g.Queued)
	}
	return err
}
