package stream

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Ports that OpenSIPS uses where a URL names none.
const (
	DefaultPort    = 5555 // proto_bin
	DefaultPortTLS = 5556 // proto_bins
)

// maxURL bounds what ParseURL looks at: URLs come from the wire, too (NODE_DESCRIPTION).
const maxURL = 128

// URL is where a member listens: bin:ADDR:PORT, or bins:ADDR:PORT for TLS.
type URL struct {
	TLS  bool
	Addr netip.AddrPort
}

// ParseURL reads "bin:192.0.2.1:5566", "bins:[2001:db8::1]:5556", "bin:192.0.2.1". Without a port it takes the
// default of the scheme. It takes addresses only, no host names: a member is known by its address.
func ParseURL(s string) (URL, error) {
	if len(s) > maxURL {
		return URL{}, fmt.Errorf("URL of %d bytes is longer than %d", len(s), maxURL)
	}
	scheme, rest, ok := strings.Cut(s, ":")
	u := URL{TLS: scheme == "bins"}
	if !ok || scheme != "bin" && scheme != "bins" {
		return URL{}, fmt.Errorf("URL %q has neither the scheme bin nor bins", s)
	}
	if ap, err := netip.ParseAddrPort(rest); err == nil {
		u.Addr = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
		return u, nil
	}
	addr, err := parseAddr(rest)
	if err != nil {
		return URL{}, fmt.Errorf("URL %q is not bin:ADDR:PORT: %w", s, err)
	}
	u.Addr = netip.AddrPortFrom(addr.Unmap(), DefaultPort)
	if u.TLS {
		u.Addr = netip.AddrPortFrom(addr.Unmap(), DefaultPortTLS)
	}
	return u, nil
}

var errNoAddress = errors.New("no IP address with a port from 0 to 65535")

// parseAddr reads an address without port: 192.0.2.1 or [2001:db8::1].
func parseAddr(s string) (netip.Addr, error) {
	inner, bracket := strings.CutPrefix(s, "[")
	if bracket {
		var closed bool
		if inner, closed = strings.CutSuffix(inner, "]"); !closed {
			return netip.Addr{}, errNoAddress
		}
	}
	a, err := netip.ParseAddr(inner)
	if err != nil || a.Is6() != bracket {
		return netip.Addr{}, errNoAddress
	}
	return a, nil
}

// String returns the URL with its port, as ParseURL reads it.
func (u URL) String() string {
	if u.TLS {
		return "bins:" + u.Addr.String()
	}
	return "bin:" + u.Addr.String()
}
