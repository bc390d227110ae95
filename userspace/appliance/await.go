package appliance

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	// tentativeTime is how long to wait at least for an IPv6 address that the kernel still tests for duplicates. That takes
	// a second or two after the interface is up (RFC 4862, 5.4).
	tentativeTime = 10 * time.Second
	// hostLook is the time between two looks at the addresses of the host.
	hostLook = 100 * time.Millisecond
)

// AwaitHost reads the host, and again until it has every address that c needs, but for no longer than c.AwaitAddress. An
// IPv6 address that is being tested for duplicates gets ten seconds at least. It returns the last reading also if an
// address is missing then; Resolve tells which one and why. Its errors are those of ReadHost, of ctx, and an address that
// can't be used.
func (c *Config) AwaitHost(ctx context.Context) (Host, error) {
	return c.awaitHost(ctx, ReadHost, hostLook, tentativeTime)
}

// awaitHost is AwaitHost with another host and other times.
func (c *Config) awaitHost(ctx context.Context, read func() (Host, error), look, tentative time.Duration) (Host, error) {
	begin := time.Now()
	tick := time.NewTicker(look)
	defer tick.Stop()
	told := ""
	for {
		h, err := read()
		if err != nil {
			return h, err
		}
		missing, untested := c.awaited(&h)
		waited := time.Since(begin)
		wait := len(missing) > 0 && waited < c.AwaitAddress || len(untested) > 0 && waited < max(c.AwaitAddress, tentative)
		if !wait {
			if len(untested) > 0 {
				return h, fmt.Errorf("address %s: the kernel still tests whether another host has it, after %s (duplicate address detection)",
					untested[0], waited.Round(time.Second))
			}
			return h, c.duplicate(&h)
		}
		if now := strings.Join(append(missing, untested...), " "); now != told {
			told = now
			c.Log.Info("waiting for addresses", "missing", missing, "in_duplicate_detection", untested,
				"at_most", max(c.AwaitAddress, tentative*time.Duration(min(len(untested), 1))))
		}
		select {
		case <-ctx.Done():
			return h, ctx.Err()
		case <-tick.C:
		}
	}
}

// needed returns the addresses that c can't do without.
func (c *Config) needed() []netip.AddrPort {
	list := slices.Clone(c.Listen)
	if c.Metrics.IsValid() && c.MetricsRequired && !c.Metrics.Addr().IsUnspecified() {
		list = append(list, c.Metrics)
	}
	return list
}

// awaited returns the needed addresses that no interface has, and those that are still tested for duplicates. Neither
// contains those that a socket can be bound to nevertheless.
func (c *Config) awaited(h *Host) (missing, untested []string) {
	for _, ap := range c.needed() {
		switch {
		case len(h.owners(ap.Addr())) == 0:
			if c.resolveForeign(*h, ap) != nil {
				missing = append(missing, ap.Addr().String())
			}
		case h.is(ap.Addr(), func(l *Link) []netip.Addr { return l.Tentative }) && !h.Nonlocal6:
			untested = append(untested, ap.Addr().String())
		}
	}
	return missing, untested
}

// duplicate returns an error for a needed address that another host on the link uses.
func (c *Config) duplicate(h *Host) error {
	for _, ap := range c.needed() {
		if h.is(ap.Addr(), func(l *Link) []netip.Addr { return l.Duplicate }) {
			return fmt.Errorf("address %s: another host on the link has it (duplicate address detection failed)", ap.Addr())
		}
	}
	return nil
}

// is reports whether an address is in a list of one of the links.
func (h *Host) is(addr netip.Addr, list func(*Link) []netip.Addr) bool {
	return slices.ContainsFunc(h.Links, func(l Link) bool { return slices.Contains(list(&l), addr) })
}
