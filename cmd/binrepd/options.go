package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/bpf"
	"binrepd/userspace/appliance"
	"binrepd/userspace/in/gate"
	"binrepd/userspace/in/thread"
	"binrepd/userspace/trace/record"
	"binrepd/userspace/watch/proxies"
)

var errListenForm = errors.New("not ADDRESS:PORT; write 10.0.0.2:5556, [2001:db8::2]:5556, or 0.0.0.0:5556 for every IPv4 address")

// options is what the flags of run ask for.
type options struct {
	appliance.Config
	LogFormat string // logText or logJSON
}

// parseOptions reads the flags of run into options that are valid by themselves. Config.Resolve checks what they ask of the
// host. Errors are about usage.
func parseOptions(c *cli.Context) (options, error) {
	o, err := readOptions(c)
	if err == nil {
		err = o.Validate()
	}
	if err != nil {
		return options{}, usageErrorf("%w", err)
	}
	return o, nil
}

// readOptions reads each flag by itself.
func readOptions(c *cli.Context) (o options, err error) {
	o = options{
		Config: appliance.Config{
			Interfaces:   c.StringSlice("interface"),
			Promiscuous:  c.Bool("promiscuous"),
			AwaitAddress: c.Duration("await-address"),
			XDP:          c.String("xdp"),
			Rings:        c.Int("rings"),
			Spin:         c.Duration("spin"),
			Coalesce:     c.Duration("coalesce"),
			Shards:       c.Int("shards"),
			Control:      c.String("control"),
			ExpiryGrace:  c.Duration("expiry-grace"),
			Tombstone:    c.Duration("tombstone"),
			EarlyTimeout: c.Duration("early-timeout"),
			StaleAfter:   c.Duration("stale-after"),
			Load:         c.String("load"),
			Pin:          c.String("pin"),
			StateDir:     c.String("state-dir"),
			SaveInterval: c.Duration("save-interval"),
			Profiles:     c.Bool("pprof"),
			WebConfig:    c.String("web.config.file"),
			OwnProcess:   true,
		},
		LogFormat: c.String("log-format"),
	}
	o.Version, o.Revision = buildVersion()
	for _, s := range c.StringSlice("listen") {
		listen, err := parseListen(s)
		if err != nil {
			return o, fmt.Errorf("--listen %s: %w", s, err)
		}
		o.Listen = append(o.Listen, listen)
	}
	ringSize, err := humanize.ParseBytes(c.String("ring-size"))
	if err != nil || ringSize > 1<<62 {
		return o, fmt.Errorf("--ring-size %s: not a size; write 64MiB, 1GiB or a number of bytes", c.String("ring-size"))
	}
	o.RingSize = int(ringSize)
	o.SyncOnReturn = c.Bool("sync-on-return")
	for _, text := range c.StringSlice("audit") {
		one, err := proxies.ParseScheduled(text)
		if err != nil {
			return o, fmt.Errorf("--audit: %w", err) // the address may have a password
		}
		o.Audits = append(o.Audits, one)
	}
	o.NoConvert = c.Bool("no-convert")
	if o.Replicate, o.ReplicateQueue, err = parseReplicate(c); err != nil {
		return o, err
	}
	if text := c.String("cpus"); text != "" {
		if o.CPUs, err = thread.ParseCPUs(text); err != nil {
			return o, fmt.Errorf("--cpus: %w", err)
		}
	}
	for _, parse := range [...]func(*cli.Context, *options) error{parseClusters, parseSources, parseLimits, parseRecording, parseMetrics} {
		if err := parse(c, &o); err != nil {
			return o, err
		}
	}
	switch err := o.LogLevel.UnmarshalText([]byte(c.String("log-level"))); {
	case err != nil:
		return o, fmt.Errorf("--log-level %s: choose debug, info, warn or error", c.String("log-level"))
	case o.LogFormat != logText && o.LogFormat != logJSON:
		return o, fmt.Errorf("--log-format %s: choose text or json", o.LogFormat)
	case c.IsSet("shards") && o.Shards < 1:
		return o, fmt.Errorf("--shards %d: at least 1", o.Shards)
	case o.Control == "":
		return o, errors.New("--control: the path is empty")
	}
	return o, nil
}

// parseListen reads one listen address.
func parseListen(s string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.AddrPort{}, errListenForm
	}
	if ap.Port() == 0 {
		return netip.AddrPort{}, errors.New("port 0 is none; write the port that the proxies send to")
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// parseSources reads the sources to take packets from, and how many.
func parseSources(c *cli.Context, o *options) error {
	for _, s := range c.StringSlice("allow") {
		p, err := gate.ParsePrefix(s)
		if err != nil {
			return fmt.Errorf("--allow %s: %w", s, err)
		}
		o.Allow = append(o.Allow, p)
	}
	if file := c.String("allow-file"); file != "" {
		list, err := readAllowFile(file)
		if err != nil {
			return fmt.Errorf("--allow-file %s: %w", file, err)
		}
		for _, p := range list {
			if !slices.Contains(o.Allow, p) {
				o.Allow = append(o.Allow, p)
			}
		}
	}
	if len(o.Allow) > bpf.MaxAllowed {
		return fmt.Errorf("--allow: %d prefixes are too many; at most %d", len(o.Allow), bpf.MaxAllowed)
	}
	o.SourceRate = c.Int("source-rate")
	if c.IsSet("source-rate") && (o.SourceRate < 1 || o.SourceRate > bpf.MaxRate) {
		return fmt.Errorf("--source-rate %d: choose 1 to %d packets a second; leave it out for no limit", o.SourceRate, bpf.MaxRate)
	}
	return nil
}

// readAllowFile reads a file of allowed sources: one prefix or address a line; # begins a comment. An empty list is an
// error: it would allow everyone.
func readAllowFile(file string) (list []netip.Prefix, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		p, err := gate.ParsePrefix(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", n, line, err)
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, errors.New("no source in it; write 0.0.0.0/0 and ::/0 to allow everyone")
	}
	return list, nil
}

// parseLimits reads the limits of the table.
func parseLimits(c *cli.Context, o *options) error {
	o.MaxDialogs = c.Int("max-dialogs")
	if c.IsSet("max-dialogs") && o.MaxDialogs < 1 {
		return fmt.Errorf("--max-dialogs %d: at least 1; leave it out for no limit", o.MaxDialogs)
	}
	text := c.String("max-memory")
	if text == "" {
		return nil
	}
	var err error
	if o.MaxMemory, err = humanize.ParseBytes(text); err != nil || o.MaxMemory > math.MaxInt64 {
		return fmt.Errorf("--max-memory %s: not a size; write 8GiB, 500MiB or a number of bytes", text)
	}
	if o.MaxMemory < appliance.MinMemory {
		return fmt.Errorf("--max-memory %s: at least %s", text, humanize.IBytes(appliance.MinMemory))
	}
	return nil
}

// parseRecording reads what the flight recorder keeps.
func parseRecording(c *cli.Context, o *options) error {
	o.Record = c.String("record")
	if c.IsSet("record") && o.Record == "" {
		return nil // as in BINREPD_RECORD=
	}
	text := c.String("record-size")
	size, err := humanize.ParseBytes(text)
	switch {
	case err != nil || size > math.MaxInt64:
		return fmt.Errorf("--record-size %s: not a size; write 1GiB, 500MiB or a number of bytes", text)
	case size < record.LeastLimit:
		return fmt.Errorf("--record-size %s: at least %s", text, humanize.IBytes(record.LeastLimit))
	}
	o.RecordSize = int64(size)
	return nil
}

// parseMetrics reads the address that answers HTTP.
func parseMetrics(c *cli.Context, o *options) (err error) {
	text := c.String("metrics")
	if text == metricsOff {
		if o.WebConfig != "" {
			return errors.New("--web.config.file: with --metrics off there is nothing to protect; leave one of them out")
		}
		if o.Profiles {
			return errors.New("--pprof: with --metrics off there is nowhere to show profiles; leave one of them out")
		}
		return nil
	}
	o.MetricsRequired = c.IsSet("metrics")
	if o.Metrics, err = netip.ParseAddrPort(text); err != nil {
		return fmt.Errorf("--metrics %s: not ADDRESS:PORT; write %s, [::1]:9470, 0.0.0.0:9470 for every IPv4 address, or off", text, appliance.Defaults().Metrics)
	}
	return nil
}
