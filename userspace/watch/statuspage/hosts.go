package statuspage

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// hosts decides which Host values a request may have. Another site can make its own name resolve to our address, so
// that a browser takes our answers for those of that site (DNS rebinding). But the browser still sends that site's
// name. So only names that an attacker can't own are served:
//
//   - bound to a loopback address: localhost, and loopback addresses;
//   - bound to another address, or to all: also any address, and the host's own names.
//
// The port is not checked, since a tunnel may use another one.
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

// plainName returns a name in the form used for comparison: in lower case, and without a final dot.
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
		return false // only addresses may have brackets
	}
	name = plainName(name)
	return name == "localhost" || !h.loopback && slices.Contains(h.names, name)
}
