package main

import (
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/bpf"
)

// Categories under which --help lists the flags.
const (
	categoryInput   = "Input"
	categoryXDP     = "XDP"
	categoryTable   = "Table"
	categoryControl = "Control"
	categoryLog     = "Log"
)

const defaultControl = "/run/binrepd/control.sock"

func runFlags() []cli.Flag {
	return append(slices.Concat(replicateFlags(), sourceFlags(), limitFlags(), surviveFlags(), consumerFlags(), recordFlags(), metricsFlags()),
		&cli.StringSliceFlag{
			Name: "listen", Category: categoryInput,
			Usage: "take BIN packets sent to `ADDRESS:PORT`, such as 10.0.0.2:5556, [2001:db8::2]:5556 or, for every " +
				"address, 0.0.0.0:5556; repeat for up to 16",
		},
		&cli.StringSliceFlag{
			Name: "interface", Category: categoryInput,
			Usage: "attach the XDP program to network interface `NAME`; repeat for more (default: every interface that " +
				"owns a listen address, and for 0.0.0.0 or [::] every one that is up)",
		},
		&cli.StringFlag{
			Name: "xdp", Category: categoryXDP, Value: xdpAuto,
			Usage: "`MODE` of XDP: native (in the driver), generic (in the kernel's stack), off (plain sockets), or auto: " +
				"the first of native, generic and off that works; native and generic fail where they don't",
		},
		&cli.IntFlag{
			Name: "rings", Category: categoryXDP, Value: bpf.DefaultRings(),
			Usage:       "share packets among `N` ring buffers, 1 to 16, each with a consumer of its own",
			DefaultText: "number of CPUs, at most 16",
		},
		&cli.StringFlag{
			Name: "ring-size", Category: categoryXDP, Value: "64MiB",
			Usage: "`SIZE` of each ring buffer, a power of two: 64MiB, 1GiB, or a number of bytes; with --record at least twice the smallest",
		},
		&cli.IntFlag{
			Name: "shards", Category: categoryTable,
			Usage:       "divide the table into `N` separately locked parts, rounded up to a multiple of --rings",
			DefaultText: "16 for each ring",
		},
		&cli.DurationFlag{
			Name: "expiry-grace", Category: categoryTable, Value: 60 * time.Second, DefaultText: "60s",
			Usage: "keep a dialog for `DURATION` past its timeout before it expires",
		},
		&cli.DurationFlag{
			Name: "tombstone", Category: categoryTable, Value: 64 * time.Second, DefaultText: "64s",
			Usage: "remember an ended dialog for `DURATION`, so that a packet that comes late doesn't bring it back",
		},
		&cli.DurationFlag{
			Name: "early-timeout", Category: categoryTable, Value: 180 * time.Second, DefaultText: "180s",
			Usage: "forget a call that is being set up `DURATION` after the last packet about it",
		},
		&cli.DurationFlag{
			Name: "stale-after", Category: categoryControl, Value: 5 * time.Minute,
			Usage: "say STALE in status when a source that had been sending is silent for `DURATION`; 0s: never",
		},
		controlFlag(),
		&cli.StringFlag{
			Name: "load", Category: categoryTable,
			Usage: "apply the saved `FILE` before taking packets; a damaged one is an error",
		},
		&cli.StringFlag{
			Name: "log-level", Category: categoryLog, Value: "info",
			Usage: "least `LEVEL` to log: debug, info, warn or error",
		},
		&cli.StringFlag{
			Name: "log-format", Category: categoryLog, Value: logText,
			Usage: "`FORMAT` of the log on standard error: text or json",
		},
	)
}

// controlFlag is the same for the daemon, which makes the socket, and for the commands that ask it.
func controlFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "control", Category: categoryControl, Value: defaultControl,
		Usage: "`PATH` of the Unix socket over which commands reach the daemon",
	}
}

// parseOptions reads the flags of run into options that are valid by themselves; what they ask of the host is
// checked by resolve. Errors are about usage.
func parseOptions(c *cli.Context) (options, error) {
	o := options{
		Interfaces:   c.StringSlice("interface"),
		XDP:          c.String("xdp"),
		Rings:        c.Int("rings"),
		Shards:       c.Int("shards"),
		Control:      c.String("control"),
		ExpiryGrace:  c.Duration("expiry-grace"),
		Tombstone:    c.Duration("tombstone"),
		EarlyTimeout: c.Duration("early-timeout"),
		StaleAfter:   c.Duration("stale-after"),
		Load:         c.String("load"),
		LogFormat:    c.String("log-format"),
	}
	for _, s := range c.StringSlice("listen") {
		listen, err := parseListen(s)
		if err != nil {
			return options{}, usageErrorf("--listen %s: %w", s, err)
		}
		o.Listen = append(o.Listen, listen)
	}
	size, err := humanize.ParseBytes(c.String("ring-size"))
	if err != nil || size > 1<<62 {
		return options{}, usageErrorf("--ring-size %s: not a size; write 64MiB, 1GiB or a number of bytes", c.String("ring-size"))
	}
	o.RingSize = int(size)
	if o.Replicate, o.ReplicateQueue, err = parseReplicate(c); err != nil {
		return options{}, usageErrorf("%w", err)
	}
	if o.Allow, o.SourceRate, err = parseSources(c); err != nil {
		return options{}, usageErrorf("%w", err)
	}
	if o.MaxDialogs, o.MaxMemory, err = parseLimits(c); err != nil {
		return options{}, usageErrorf("%w", err)
	}
	if o.consumers, err = parseConsumers(c); err != nil {
		return options{}, usageErrorf("%w", err)
	}
	if o.survival, err = parseSurvival(c); err != nil {
		return options{}, usageErrorf("%w", err)
	}
	if o.recording, err = parseRecording(c); err != nil {
		return options{}, usageErrorf("%w", err)
	}
	if sameFolder(o.Record, o.StateDir) {
		return options{}, usageErrorf("--record %s: the folder of --state-dir; choose one for each, such as %s", o.Record, filepath.Join(o.StateDir, "record"))
	}
	if o.metricsOptions, err = parseMetrics(c); err != nil {
		return options{}, usageErrorf("%w", err)
	}
	if err := o.LogLevel.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return options{}, usageErrorf("--log-level %s: choose debug, info, warn or error", c.String("log-level"))
	}
	if c.IsSet("shards") && o.Shards < 1 {
		return options{}, usageErrorf("--shards %d: at least 1", o.Shards)
	}
	if err := o.validate(); err != nil {
		return options{}, usageErrorf("%w", err)
	}
	return o, nil
}

// parseListen reads one listen address.
func parseListen(s string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.AddrPort{}, errListenForm
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// jsonFlag is the same for every command that has it; usage tells the form.
func jsonFlag(usage string) cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: usage, DisableDefaultText: true}
}
