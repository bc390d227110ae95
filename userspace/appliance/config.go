package appliance

import (
	"log/slog"
	"net/netip"
	"time"

	"binrepd/bpf"
	"binrepd/dialog"
	"binrepd/userspace/cluster/bridge"
	"binrepd/userspace/cluster/member"
	"binrepd/userspace/in/ring"
	"binrepd/userspace/in/stream"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/watch/proxies"
)

// Values of Config.XDP.
const (
	XDPAuto    = "auto" // the first of native, generic and off that works
	XDPNative  = "native"
	XDPGeneric = "generic"
	XDPOff     = "off"
)

// Limits of settings.
const (
	MaxShards     = dialog.MaxShards
	MinQueue      = 1 << 20 // bytes, the smallest journal that package egress takes
	MinMemory     = 4 << 20 // bytes of the table
	shardsPerRing = 16      // enough that a worker rarely meets a reader of the table at the same lock
	maxControl    = 107     // bytes of a Unix socket's path, unix(7): 108 with the final zero
	longest       = 24 * time.Hour
	// longestSpin is a hundred times what a wake-up costs. A worker that spins longer had better never sleep.
	longestSpin = time.Millisecond
	// longestCoalesce is beyond the point where more latency saves anything.
	longestCoalesce = 10 * time.Millisecond
	// minSaveInterval keeps a typing mistake from making the appliance write all the time.
	minSaveInterval = 100 * time.Millisecond
)

// Config says what an appliance does. Defaults returns useful values.
type Config struct {
	// Listen are the addresses to receive at, without duplicates, IPv4 never mapped. Port 0 means any free one; it works
	// without XDP only. At most bpf.MaxListeners. Without any there must be Clusters.
	Listen []netip.AddrPort

	// AwaitAddress is how long AwaitHost waits for addresses that the host doesn't have yet.
	AwaitAddress time.Duration

	// Clusters are those to be a member of, one Config for each: Cluster, Node, Listen, Peers and Fixed; Run sets the rest.
	Clusters []member.Config
	// Bridges pass calls of one of Clusters into another.
	Bridges []bridge.Rule
	// Fence refuses events about dialogs of a sharing tag that come from a node which has lost the tag to another one.
	Fence bool
	// TLS names the files for bins URLs; the zero value: there are none.
	TLS stream.TLSFiles

	XDP        string   // one of the XDP constants
	Interfaces []string // to attach the XDP program to; empty: those where frames to the listen addresses come in
	// Promiscuous takes frames whatever their destination MAC address and VLAN: a tap at a mirror port.
	Promiscuous bool
	Rings       int   // 1 to bpf.MaxRings
	RingSize    int   // bytes of each ring: a power of two, and a multiple of the page size
	CPUs        []int // where the workers of the rings run, in turn; empty: the kernel chooses
	// Spin is how long the worker of a ring looks for more before it sleeps, 0 to 1 ms.
	Spin time.Duration
	// Coalesce is how long records may wait in a ring while traffic lasts, so that its worker wakes less often, 0 to 10 ms.
	Coalesce time.Duration

	Shards      int // of the table; 0: 16 for each ring. Validate rounds it up to a multiple of Rings
	ShardsAsked int // the number before Validate rounded it up, else 0

	// How long the table keeps a dialog past its timeout, an ended dialog, and a call that is being set up. Whole seconds
	// from 1 s to 24 h.
	ExpiryGrace, Tombstone, EarlyTimeout time.Duration

	MaxDialogs int    // 0: no limit
	MaxMemory  uint64 // bytes of the table, at least MinMemory; 0: Resolve chooses

	Allow      []netip.Prefix // the sources to take packets from; empty: every source
	SourceRate int            // packets a second from each source address; 0: no limit

	Replicate      []egress.Destination // the backups, which get every event
	ReplicateQueue int                  // bytes of events that wait for backups, at least MinQueue

	Audits []proxies.Scheduled // of proxies, again and again

	// NoConvert holds dialogs of generation 2 back from backups of generation 1 instead of converting them.
	NoConvert bool

	SyncOnReturn bool // sync a backup that was away and is back

	// Control is the path of the Unix socket that package control serves; empty: none.
	Control string
	// StaleAfter is how long a source may be silent before the status is STALE; 0: for ever.
	StaleAfter time.Duration

	// Metrics is the address that answers HTTP: the status page, metrics, probes. The zero value: none.
	Metrics netip.AddrPort
	// MetricsRequired makes it an error if that address can't be had. Otherwise the appliance warns and does without.
	MetricsRequired bool
	// WebConfig is a file that says how the metrics address is protected: TLS and passwords in the form of Prometheus
	// (telemetry.Server.Secure); empty: plain HTTP.
	WebConfig string
	Profiles  bool // serve /debug/pprof/ there, too

	Load string // a saved file to apply before the first packet; empty: none

	Pin          string        // folder in a BPF filesystem in which XDP program and rings outlive the process; empty: none
	StateDir     string        // folder in which the table is saved; empty: none
	SaveInterval time.Duration // between two saves, at least 100 ms

	Record     string // folder of the flight recorder; empty: none
	RecordSize int64  // bytes of its files, at least record.LeastLimit

	// OwnProcess says that the appliance is all that this process does. Then Run changes the whole process: it raises
	// GOMAXPROCS, drops privileges on all threads for good, and reports to systemd.
	OwnProcess bool

	Version, Revision string // of the program; they appear in status, metrics and recordings

	Log *slog.Logger // nil: slog.Default
	// LogLevel is the least level that Log writes. SetLogLevel changes it; nil: it can't be changed.
	LogLevel    slog.Level
	SetLogLevel func(slog.Level)
	// Reread reads the settings again, for Reload; nil: they can't change.
	Reread func() (Settings, error)
	// LogLost returns how many lines of the log could not be written; nil: that isn't known.
	LogLost func() uint64
}

// Defaults returns the configuration of `binrepd run` without flags. It lacks Listen.
func Defaults() Config {
	return Config{
		XDP: XDPAuto, Rings: bpf.DefaultRings(), RingSize: bpf.DefaultRingSize, Spin: ring.DefaultSpin, Coalesce: ring.DefaultCoalesce,
		ExpiryGrace: 60 * time.Second, Tombstone: 64 * time.Second, EarlyTimeout: 180 * time.Second,
		ReplicateQueue: 64 << 20,
		Control:        "/run/binrepd/control.sock",
		StaleAfter:     5 * time.Minute,
		// Only this host reaches it: metrics name the proxies, the page shows calls, and there is no password.
		Metrics:      netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 9470),
		SaveInterval: 30 * time.Second,
		RecordSize:   1 << 30,
	}
}
