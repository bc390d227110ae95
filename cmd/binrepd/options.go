package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/dustin/go-humanize"

	"binrepd/bpf"
	"binrepd/dialog"
	"binrepd/userspace/out/egress"
)

// Modes of --xdp.
const (
	xdpAuto    = "auto"
	xdpNative  = "native"
	xdpGeneric = "generic"
	xdpOff     = "off"
)

// Forms of --log-format.
const (
	logText = "text"
	logJSON = "json"
)

const (
	maxShards     = dialog.MaxShards
	shardsPerRing = 16  // enough that a consumer rarely meets a reader of the table on the same lock
	maxControl    = 107 // bytes of a Unix socket's path, unix(7): 108 with the final zero
	longest       = 24 * time.Hour
)

var errListenForm = errors.New("not ADDRESS:PORT; write 10.0.0.2:5556, [2001:db8::2]:5556, or 0.0.0.0:5556 for every IPv4 address")

// options is what `binrepd run` was asked to do.
type options struct {
	Listen     []netip.AddrPort // without duplicates, IPv4 never mapped
	Interfaces []string         // empty until resolve has filled it in, where none was named
	XDP        string           // one of the xdp constants
	Rings      int
	RingSize   int // bytes of each ring
	Shards     int // 0 until validated, then a multiple of Rings
	// ShardsAsked is the number that was asked for where Shards had to be rounded up, else 0.
	ShardsAsked int

	consumers

	Control string // path of the Unix socket

	metricsOptions

	ExpiryGrace  time.Duration
	Tombstone    time.Duration
	EarlyTimeout time.Duration

	Replicate      []egress.Destination // where events go on to
	ReplicateQueue int                  // bytes

	MaxDialogs int    // 0: no limit
	MaxMemory  uint64 // bytes of the table; 0 until resolve has chosen, where none was named

	Allow      []netip.Prefix // who may speak; none: everyone
	SourceRate int            // packets a second of each source address, 0: no limit

	StaleAfter time.Duration // 0: never
	Load       string        // file to begin with; empty: none

	survival
	recording

	LogLevel  slog.Level
	LogFormat string // one of the log constants
}

// validate checks the options by themselves, and settles the number of shards.
func (o *options) validate() error {
	if err := validateListen(o.Listen); err != nil {
		return err
	}
	for i, name := range o.Interfaces {
		if name == "" {
			return errors.New("--interface: the name is empty")
		}
		if slices.Contains(o.Interfaces[:i], name) {
			return fmt.Errorf("--interface %s: given twice", name)
		}
	}
	switch o.XDP {
	case xdpAuto, xdpNative, xdpGeneric, xdpOff:
	default:
		return fmt.Errorf("--xdp %s: choose auto, native, generic or off", o.XDP)
	}
	if o.Rings < 1 || o.Rings > bpf.MaxRings {
		return fmt.Errorf("--rings %d: choose 1 to %d", o.Rings, bpf.MaxRings)
	}
	if err := bpf.ValidateRingSize(o.RingSize); err != nil {
		return fmt.Errorf("--ring-size %s: %w", humanize.IBytes(uint64(o.RingSize)), err)
	}
	if err := o.validateRecording(); err != nil {
		return err
	}
	if err := o.settleShards(); err != nil {
		return err
	}
	if err := validateControl(o.Control); err != nil {
		return err
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"expiry-grace", o.ExpiryGrace},
		{"tombstone", o.Tombstone},
		{"early-timeout", o.EarlyTimeout},
	} {
		// The table counts whole seconds.
		if d.value < time.Second || d.value > longest || d.value%time.Second != 0 {
			return fmt.Errorf("--%s %s: choose whole seconds from 1s to 24h", d.flag, d.value)
		}
	}
	if o.StaleAfter < 0 {
		return fmt.Errorf("--stale-after %s: below 0", o.StaleAfter)
	}
	if o.LogFormat != logText && o.LogFormat != logJSON {
		return fmt.Errorf("--log-format %s: choose text or json", o.LogFormat)
	}
	return nil
}

// settleShards makes Shards a multiple of Rings, so that the shards of the table are divided among the rings.
func (o *options) settleShards() error {
	switch {
	case o.Shards == 0:
		o.Shards = shardsPerRing * o.Rings
	case o.Shards < 0 || o.Shards > maxShards:
		return fmt.Errorf("--shards %d: choose 1 to %d", o.Shards, maxShards)
	}
	if over := o.Shards % o.Rings; over != 0 {
		o.ShardsAsked = o.Shards
		o.Shards += o.Rings - over
	}
	if o.Shards > maxShards {
		return fmt.Errorf("--shards %d: rounded up to a multiple of %d rings it is %d, above %d", o.ShardsAsked, o.Rings, o.Shards, maxShards)
	}
	return nil
}

func validateListen(listen []netip.AddrPort) error {
	switch {
	case len(listen) == 0:
		return errors.New("--listen: say where packets come to, such as --listen 10.0.0.2:5556")
	case len(listen) > bpf.MaxListeners:
		return fmt.Errorf("--listen: %d addresses are too many; at most %d, or one wildcard address such as 0.0.0.0:5556",
			len(listen), bpf.MaxListeners)
	}
	for i, ap := range listen {
		addr := ap.Addr()
		switch {
		case ap.Port() == 0:
			return fmt.Errorf("--listen %s: port 0 is none; write the port that the proxies send to", ap)
		case addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			return fmt.Errorf("--listen %s: not an address of one host; write a unicast or the wildcard address", ap)
		case addr.IsLinkLocalUnicast() && addr.Is6():
			return fmt.Errorf("--listen %s: link-local addresses aren't supported; write a global or unique local one", ap)
		}
		for _, other := range listen[:i] {
			if err := overlap(other, ap); err != nil {
				return err
			}
		}
	}
	return nil
}

// overlap refuses two listen addresses of which one takes the packets of the other: the kernel lets only one be bound.
func overlap(a, b netip.AddrPort) error {
	switch {
	case a == b:
		return fmt.Errorf("--listen %s: given twice", a)
	case a.Port() != b.Port() || a.Addr().Is4() != b.Addr().Is4():
		return nil
	case a.Addr().IsUnspecified():
		return fmt.Errorf("--listen %s: already covered by --listen %s; leave one of them out", b, a)
	case b.Addr().IsUnspecified():
		return fmt.Errorf("--listen %s: already covered by --listen %s; leave one of them out", a, b)
	}
	return nil
}

func validateControl(path string) error {
	switch {
	case path == "":
		return errors.New("--control: the path is empty")
	case len(path) > maxControl:
		return fmt.Errorf("--control %s: %d bytes are too long for a Unix socket; at most %d", path, len(path), maxControl)
	}
	return nil
}
