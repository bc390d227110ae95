package main

import (
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/userspace/appliance"
)

// Categories under which --help lists the flags of run.
const (
	categoryInput     = "Input"
	categoryXDP       = "XDP"
	categoryTable     = "Table"
	categoryControl   = "Control"
	categoryLog       = "Log"
	categorySources   = "Sources"
	categoryReplicate = "Backups"
	categorySurvive   = "Death and restart"
	categoryRecord    = "Flight recorder"
)

// Values of --log-format.
const (
	logText = "text"
	logJSON = "json"
)

// metricsOff is the --metrics that serves nothing.
const metricsOff = "off"

// runFlags returns the flags of run. Their defaults are those of package appliance.
func runFlags() []cli.Flag {
	d := appliance.Defaults()
	return slices.Concat(inputFlags(&d), clusterFlags(), tableFlags(&d), replicateFlags(&d), surviveFlags(&d), controlFlags(&d), logFlags())
}

// size renders a number of bytes as the flags take it: 64MiB.
func size(bytes int64) string { return strings.ReplaceAll(humanize.IBytes(uint64(bytes)), " ", "") }

func inputFlags(d *appliance.Config) []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{
			Name: "listen", Category: categoryInput,
			Usage: "take BIN packets sent to `ADDRESS:PORT`, such as 10.0.0.2:5556, [2001:db8::2]:5556 or, for every " +
				"address, 0.0.0.0:5556; repeat for up to 16. Not needed with --cluster",
		},
		&cli.StringSliceFlag{
			Name: "interface", Category: categoryInput,
			Usage: "attach the XDP program to network interface `NAME`; repeat for more (default: the interfaces by which frames " +
				"to the listen addresses come in, also if the addresses move; for 0.0.0.0 or [::] all but lo that are up)",
		},
		&cli.BoolFlag{
			Name: "promiscuous", Category: categoryInput,
			Usage: "take frames with any destination MAC address and VLAN tag, as at a switch's mirror port; the interface " +
				"itself must be promiscuous, too (ip link set dev NAME promisc on)",
		},
		&cli.DurationFlag{
			Name: "await-address", Category: categoryInput, DefaultText: "0s: end at once",
			Usage: "wait up to `DURATION`, such as 60s, for addresses of --listen and --metrics that the host doesn't have yet, as " +
				"during boot; IPv6 addresses in duplicate address detection are always waited for",
		},
		&cli.StringFlag{
			Name: "xdp", Category: categoryXDP, Value: d.XDP,
			Usage: "`MODE` of XDP: native (in the driver), generic (in the kernel's stack), off (plain sockets), or auto: " +
				"the first of native, generic and off that works; native and generic fail where they don't",
		},
		&cli.IntFlag{
			Name: "rings", Category: categoryXDP, Value: d.Rings,
			Usage:       "share packets among `N` ring buffers, 1 to 16, each with a worker of its own",
			DefaultText: "number of CPUs, at most 16",
		},
		&cli.StringFlag{
			Name: "ring-size", Category: categoryXDP, Value: size(int64(d.RingSize)),
			Usage: "`SIZE` of each ring buffer, a power of two: 64MiB, 1GiB, or a number of bytes; with --record at least twice the smallest",
		},
		&cli.StringFlag{
			Name: "cpus", Category: categoryXDP, DefaultText: "left to the kernel",
			Usage: "run the workers of the rings on these `CPUS`, in turn: 2,3 or 4-7; best are those that receive no interrupts of the network card",
		},
		&cli.DurationFlag{
			Name: "spin", Category: categoryXDP, Value: d.Spin, DefaultText: "10us",
			Usage: "let a worker look for more during `DURATION` before it sleeps, up to 1ms; longer saves wake-ups and burns processor time",
		},
		&cli.DurationFlag{
			Name: "coalesce", Category: categoryXDP, Value: d.Coalesce, DefaultText: "1ms",
			Usage: "let packets wait in a ring for at most `DURATION`, up to 10ms, while traffic lasts, so that its worker wakes for many " +
				"at once: the latency rises by up to that, and the processor time falls to a half or less; 0 wakes it at once",
		},
		&cli.StringSliceFlag{
			Name: "allow", Category: categorySources,
			Usage: "take packets only from `CIDR`, such as 10.0.0.0/24, 2001:db8::/64 or one address; repeat for more. BIN has no other " +
				"protection: without this flag, everyone who reaches the port can create and end dialogs here",
			DefaultText: "every source",
		},
		&cli.StringFlag{
			Name: "allow-file", Category: categorySources,
			Usage: "allow the sources in `FILE`, too: one CIDR or address a line, # begins a comment; 'binrepd reload' reads it again",
		},
		&cli.IntFlag{
			Name: "source-rate", Category: categorySources, DefaultText: "no limit",
			Usage: "take at most `N` packets a second from each source address, in bursts of up to a tenth of that, at least 100; the rest is " +
				"dropped and counted, but doesn't make the state LOSING",
		},
	}
}

func tableFlags(d *appliance.Config) []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{
			Name: "max-dialogs", Category: categoryTable, DefaultText: "no limit",
			Usage: "refuse new dialogs beyond `N`, and remember at most as many ended ones; known dialogs are still updated and ended",
		},
		&cli.StringFlag{
			Name: "max-memory", Category: categoryTable,
			DefaultText: "80 % of what control group or host have beside rings, --replicate-queue and --record, leaving 64MiB at least",
			Usage:       "give the table at most `SIZE`, such as 8GiB; when it is used up new dialogs are refused, as with --max-dialogs",
		},
		&cli.IntFlag{
			Name: "shards", Category: categoryTable,
			Usage:       "divide the table into `N` separately locked parts, rounded up to a multiple of --rings",
			DefaultText: "16 for each ring",
		},
		&cli.DurationFlag{
			Name: "expiry-grace", Category: categoryTable, Value: d.ExpiryGrace, DefaultText: "60s",
			Usage: "keep a dialog for `DURATION` past its timeout before it expires",
		},
		&cli.DurationFlag{
			Name: "tombstone", Category: categoryTable, Value: d.Tombstone, DefaultText: "64s",
			Usage: "remember an ended dialog for `DURATION`, so that a late packet doesn't bring it back",
		},
		&cli.DurationFlag{
			Name: "early-timeout", Category: categoryTable, Value: d.EarlyTimeout, DefaultText: "180s",
			Usage: "forget a call that is being set up `DURATION` after the last packet about it",
		},
		&cli.StringFlag{
			Name: "load", Category: categoryTable,
			Usage: "apply the saved `FILE` before taking packets; a damaged one is an error",
		},
	}
}

func replicateFlags(d *appliance.Config) []cli.Flag {
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
			Name: "replicate-queue", Category: categoryReplicate, Value: size(int64(d.ReplicateQueue)),
			Usage: "keep `SIZE` of events for backups that are slow or away; a backup that falls further behind loses the oldest, counted",
		},
		&cli.StringSliceFlag{
			Name: "rewrite-socket", Category: categoryReplicate,
			Usage: "replace a proxy's socket on the way out, `[HOST:PORT/]OLD=NEW`, such as udp:10.0.0.1:5060=udp:10.0.0.2:5060, for that backup or " +
				"else for each; repeat for more. OpenSIPS refuses dialogs whose sockets are not its own",
		},
		clearByeFlag(categoryReplicate),
		noConvertFlag(categoryReplicate),
		&cli.BoolFlag{
			Name: "sync-on-return", Category: categoryReplicate, DisableDefaultText: true,
			Usage: "sync a backup that was away, or missed events, as soon as it is back, as binrepd sync would; without it status says that it needs a sync",
		},
	}
}

// clearByeFlag is the same for run and sync.
func clearByeFlag(category string) cli.Flag {
	return &cli.BoolFlag{
		Name: "clear-bye-on-timeout", Category: category,
		Usage: "clear the flag by which OpenSIPS ends a call when its dialog expires, so that a standby never does",
	}
}

// noConvertFlag is the same for run and sync.
func noConvertFlag(category string) cli.Flag {
	return &cli.BoolFlag{
		Name: "no-convert", Category: category, DisableDefaultText: true,
		Usage: "hold dialogs of clusters (2.4 and later) back from a standby of 1.10 to 2.1, instead of converting them; another binrepd gets them as they are",
	}
}

func surviveFlags(d *appliance.Config) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "pin", Category: categorySurvive,
			Usage: "keep the XDP program attached and its ring buffers filling when the process ends, however it does, and take " +
				"them over at the next start, by `DIR` in a BPF filesystem, such as /sys/fs/bpf/binrepd; 'binrepd unpin' ends that",
		},
		&cli.StringFlag{
			Name: "state-dir", Category: categorySurvive,
			Usage: "save the table in `DIR` at intervals and at the end, and restore it at the start",
		},
		&cli.DurationFlag{
			Name: "save-interval", Category: categorySurvive, Value: d.SaveInterval, DefaultText: "30s",
			Usage: "save the table every `DURATION`",
		},
		recordFlag("keep the last packets, good and bad, those of clusters decrypted, in `DIR`, in files that Wireshark opens; 'binrepd record' and 'binrepd replay' read them. " +
			"They show who called whom. Not the folder of --state-dir; if that is /var/lib/binrepd, as under systemd, use /var/lib/binrepd/record"),
		&cli.StringFlag{
			Name: "record-size", Category: categoryRecord, Value: size(d.RecordSize),
			Usage: "keep at most `SIZE` of them, including those of earlier processes, and delete the oldest; at least 4MiB",
		},
	}
}

// recordFlag is the same for the daemon, which writes there, and for the commands that read it.
func recordFlag(usage string) cli.Flag {
	return &cli.StringFlag{Name: "record", Category: categoryRecord, Usage: usage}
}

func controlFlags(d *appliance.Config) []cli.Flag {
	return []cli.Flag{
		controlFlag(),
		&cli.StringFlag{
			Name: "settings", Category: categoryControl,
			Usage: "take environment variables from `FILE`, too, with a line NAME=VALUE for each, as in /etc/default/binrepd; 'binrepd reload' " +
				"reads it again. They win over the environment, and flags over them. A missing file is an empty one",
		},
		&cli.DurationFlag{
			Name: "stale-after", Category: categoryControl, Value: d.StaleAfter,
			Usage: "say STALE in status when a source that had been sending is silent for `DURATION`; 0s: never",
		},
		&cli.StringSliceFlag{
			Name: "audit", Category: categoryControl,
			Usage: "compare the dialogs of a proxy with the table again and again, by its management interface at `URL@INTERVAL`, such as " +
				"http://10.0.0.1:8888/mi@1h; repeat for more. 'binrepd audit --help' says what is compared; nothing is repaired",
		},
		&cli.StringFlag{
			Name: "metrics", Category: categoryControl, Value: d.Metrics.String(),
			Usage: "answer HTTP at `ADDRESS:PORT`: a page for people, with a search of calls, /metrics for Prometheus, /healthz and /readyz; off: " +
				"nowhere. Without --web.config.file there is no password: choose an address that only people who may read it can reach",
		},
		&cli.StringFlag{
			Name: "web.config.file", Category: categoryControl,
			Usage: "protect the --metrics address as `FILE` says: TLS, client certificates, users with passwords, in the form that Prometheus and " +
				"its exporters share",
		},
		&cli.BoolFlag{
			Name: "pprof", Category: categoryControl, DisableDefaultText: true,
			Usage: "answer /debug/pprof/ there, too: profiles of the running program, for its developers",
		},
	}
}

// controlFlag is the same for the daemon, which makes the socket, and for the commands that ask it.
func controlFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "control", Category: categoryControl, Value: appliance.Defaults().Control,
		Usage: "`PATH` of the Unix socket over which commands reach the daemon",
	}
}

func logFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "log-level", Category: categoryLog, Value: "info",
			Usage: "least `LEVEL` to log: debug, info, warn or error",
		},
		&cli.StringFlag{
			Name: "log-format", Category: categoryLog, Value: logText,
			Usage: "`FORMAT` of the log on standard error: text or json",
		},
	}
}

// jsonFlag is the same for every command that has it; usage describes the form.
func jsonFlag(usage string) cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: usage, DisableDefaultText: true}
}
