package appliance

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"binrepd/bpf"
)

// Validate checks the settings by themselves, and sets the number of shards. It asks nothing of the host; Resolve does.
func (c *Config) Validate() error {
	if err := c.validateClusters(); err != nil {
		return err
	}
	if err := c.validateWaysIn(); err != nil {
		return err
	}
	for i, name := range c.Interfaces {
		if name == "" {
			return errors.New("--interface: the name is empty")
		}
		if slices.Contains(c.Interfaces[:i], name) {
			return fmt.Errorf("--interface %s: given twice", name)
		}
	}
	if c.AwaitAddress < 0 || c.AwaitAddress > longest {
		return fmt.Errorf("--await-address %s: choose 0s to 24h", c.AwaitAddress)
	}
	switch c.XDP {
	case XDPAuto, XDPNative, XDPGeneric, XDPOff:
	default:
		return fmt.Errorf("--xdp %s: choose auto, native, generic or off", c.XDP)
	}
	if c.Rings < 1 || c.Rings > bpf.MaxRings {
		return fmt.Errorf("--rings %d: choose 1 to %d", c.Rings, bpf.MaxRings)
	}
	if err := bpf.ValidateRingSize(c.RingSize); err != nil {
		return fmt.Errorf("--ring-size %s: %w", humanize.IBytes(uint64(c.RingSize)), err)
	}
	if err := c.validateRecording(); err != nil {
		return err
	}
	if err := c.settleShards(); err != nil {
		return err
	}
	if len(c.Control) > maxControl {
		return fmt.Errorf("--control %s: %d bytes are too long for a Unix socket; at most %d", c.Control, len(c.Control), maxControl)
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"expiry-grace", c.ExpiryGrace},
		{"tombstone", c.Tombstone},
		{"early-timeout", c.EarlyTimeout},
	} {
		// The table counts whole seconds.
		if d.value < time.Second || d.value > longest || d.value%time.Second != 0 {
			return fmt.Errorf("--%s %s: choose whole seconds from 1s to 24h", d.flag, d.value)
		}
	}
	if c.StaleAfter < 0 {
		return fmt.Errorf("--stale-after %s: below 0", c.StaleAfter)
	}
	if c.Spin < 0 || c.Spin > longestSpin {
		return fmt.Errorf("--spin %s: choose 0 to %s", c.Spin, longestSpin)
	}
	if c.Coalesce < 0 || c.Coalesce > longestCoalesce {
		return fmt.Errorf("--coalesce %s: choose 0 to %s", c.Coalesce, longestCoalesce)
	}
	return c.validateFolders()
}

// settleShards makes Shards a multiple of Rings, so that each ring has as many shards of the table as the others.
func (c *Config) settleShards() error {
	switch {
	case c.Shards == 0:
		c.Shards = shardsPerRing * c.Rings
	case c.Shards < 0 || c.Shards > MaxShards:
		return fmt.Errorf("--shards %d: choose 1 to %d", c.Shards, MaxShards)
	}
	if over := c.Shards % c.Rings; over != 0 {
		c.ShardsAsked = c.Shards
		c.Shards += c.Rings - over
	}
	if c.Shards > MaxShards {
		return fmt.Errorf("--shards %d: rounded up to a multiple of %d rings it is %d, above %d", c.ShardsAsked, c.Rings, c.Shards, MaxShards)
	}
	return nil
}

func validateListen(listen []netip.AddrPort, anyPort bool) error {
	switch {
	case len(listen) == 0:
		return errors.New("--listen: say where packets come to, such as --listen 10.0.0.2:5556")
	case len(listen) > bpf.MaxListeners:
		return fmt.Errorf("--listen: %d addresses are too many; at most %d, or one wildcard address such as 0.0.0.0:5556",
			len(listen), bpf.MaxListeners)
	}
	for i, ap := range listen {
		if ap.Port() == 0 && anyPort { // each gets a port of its own
			continue
		}
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

// overlap refuses two listen addresses if one of them receives the packets of the other: the kernel binds only one.
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

// validateFolders checks what outlives the process.
func (c *Config) validateFolders() error {
	switch {
	case c.Pin != "" && !filepath.IsAbs(c.Pin):
		return fmt.Errorf("--pin %s: write the whole path, such as /sys/fs/bpf/binrepd", c.Pin)
	case c.Pin != "" && strings.Contains(filepath.Base(c.Pin), "."):
		return fmt.Errorf("--pin %s: names in a BPF filesystem have no dots", c.Pin)
	case c.SaveInterval < minSaveInterval:
		return fmt.Errorf("--save-interval %s: at least %s", c.SaveInterval, minSaveInterval)
	case sameFolder(c.Record, c.StateDir):
		return fmt.Errorf("--record %s: the folder of --state-dir; choose one for each, such as %s", c.Record, filepath.Join(c.StateDir, "record"))
	}
	return nil
}

// validateRecording refuses rings so small that no packet in them can wait for the recorder.
func (c *Config) validateRecording() error {
	least := 2 * bpf.LeastRingSize()
	if c.Record == "" || c.XDP == XDPOff || c.RingSize >= least {
		return nil
	}
	return fmt.Errorf("--ring-size %s: with --record at least %s, of which a part waits for the recorder",
		humanize.IBytes(uint64(c.RingSize)), humanize.IBytes(uint64(least)))
}

// sameFolder reports whether two paths name one folder, which may not exist yet.
func sameFolder(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if a, b = filepath.Clean(a), filepath.Clean(b); a == b {
		return true
	}
	first, err1 := os.Stat(a)
	second, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(first, second)
}
