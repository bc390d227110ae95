package hostport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
)

// Target is where packets are to go: a host, by name or address, and a port.
type Target struct {
	Host string
	Port uint16 // never 0
	// Addr is the address if Host is one, in its shortest form. For a name it is the zero Addr.
	Addr netip.Addr
}

// Parse reads HOST:PORT. An IPv6 address needs brackets. A name isn't resolved.
func Parse(text string) (Target, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return Target{}, errors.New("not HOST:PORT; write 10.0.0.3:5556, [2001:db8::3]:5556 or backup.example.net:5556")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Target{}, fmt.Errorf("%q is no port; write one from 1 to 65535", port)
	}
	t := Target{Host: host, Port: uint16(n)}
	if a, err := netip.ParseAddr(host); err == nil {
		t.Addr = a.Unmap()
	}
	return t, nil
}

// Literal returns the address with its port, if the host is an address.
func (t Target) Literal() (netip.AddrPort, bool) {
	return netip.AddrPortFrom(t.Addr, t.Port), t.Addr.IsValid()
}

// Resolve returns the address of the target, for a name an IPv4 one if there is a choice.
func (t Target) Resolve(ctx context.Context) (netip.AddrPort, error) {
	if to, ok := t.Literal(); ok {
		return to, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.Host)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) {
			return netip.AddrPort{}, fmt.Errorf("no address for %s: %s", t.Host, dns.Err)
		}
		return netip.AddrPort{}, err
	}
	slices.SortStableFunc(addrs, func(x, y netip.Addr) int { return x.Unmap().BitLen() - y.Unmap().BitLen() })
	return netip.AddrPortFrom(addrs[0].Unmap(), t.Port), nil
}
