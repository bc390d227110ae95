package statuspage

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// hosts decides which Host a request may name. Another site can have its own name resolve to our address, and so make a browser
// take our answers for that site's (DNS rebinding); but the browser goes on sending that name. So only what an attacker can't own is served:
//
//   - bound to a loopback address: localhost, and loopback addresses;
//   - bound to another address, or to all: beside these any address, and the host's own names.
//
// The port isn't looked at: a tunnel may come by another.
type hosts struct {
	loopback bool
	names    []string
}

func newHosts(bound netip.AddrPort, names []string) hosts {
	h := hosts{loopback: bound.Addr().Unmap().IsLoopback()}
	for _, n := range names {
		if n = plainName(n); n != "" {
			h.names = append(h.names, n)
		}
	}
	return h
}

// plainName is how names are compared: without the case, and without the dot that a complete name may end in.
func plainName(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

func (h hosts) allow(host string) bool {
	name, bracketed := host, strings.HasPrefix(host, "[")
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	} else if bracketed {
		name = strings.TrimSuffix(host[1:], "]")
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return !h.loopback || a.Unmap().IsLoopback()
	}
	if bracketed {
		return false // brackets are for addresses
	}
	name = plainName(name)
	return name == "localhost" || !h.loopback && slices.Contains(h.names, name)
}
