package appliance

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// testHost returns a host with the loopback and two network cards, one of them down.
func testHost() Host {
	prefixes := func(s ...string) (p []netip.Prefix) {
		for _, s := range s {
			p = append(p, netip.MustParsePrefix(s))
		}
		return p
	}
	return Host{
		Memory: 4 << 30,
		Links: []Link{
			{Name: "lo", Up: true, Loopback: true, Prefixes: prefixes("127.0.0.1/8", "::1/128")},
			{Name: "eth0", Up: true, Prefixes: prefixes("192.0.2.1/24", "2001:db8::1/64")},
			{Name: "eth1", Prefixes: prefixes("198.51.100.1/24")},
		},
	}
}

func TestResolve(t *testing.T) {
	listen := func(s ...string) (list []netip.AddrPort) {
		for _, s := range s {
			list = append(list, netip.MustParseAddrPort(s))
		}
		return list
	}
	for _, test := range []struct {
		name   string
		config Config
		change func(*Host)
		err    string // expected; empty: none
	}{
		{name: "owner", config: Config{Listen: listen("192.0.2.1:5556")}},
		{name: "owner of IPv6", config: Config{Listen: listen("[2001:db8::1]:5556")}},
		{name: "owner that is down", config: Config{Listen: listen("198.51.100.1:5556")}},
		{name: "loopback prefix", config: Config{Listen: listen("127.0.0.53:5556")}},
		{name: "several", config: Config{Listen: listen("198.51.100.1:5556", "192.0.2.1:5556", "192.0.2.1:5557")}},
		{name: "wildcard", config: Config{Listen: listen("0.0.0.0:5556")}},
		{name: "named", config: Config{Listen: listen("192.0.2.1:5556"), Interfaces: []string{"eth1"}}},
		{
			name: "alternative name", config: Config{Listen: listen("192.0.2.1:5556"), Interfaces: []string{"wan"}},
			change: func(h *Host) { h.Links[1].AltNames = []string{"wan"} },
		},
		{name: "no such interface", config: Config{Listen: listen("192.0.2.1:5556"), Interfaces: []string{"eth9"}}, err: "--interface eth9: no such interface; this host has lo, eth0, eth1"},
		{name: "neighbour's address", config: Config{Listen: listen("192.0.2.2:5556")}, err: "--listen 192.0.2.2:5556: no interface of this host has that address"},
		{
			name: "address to come", config: Config{Listen: listen("192.0.2.2:5556"), Interfaces: []string{"eth0"}},
			change: func(h *Host) { h.Nonlocal4 = true },
		},
		{
			name: "address to come, of the other family", config: Config{Listen: listen("[2001:db8::2]:5556"), Interfaces: []string{"eth0"}},
			change: func(h *Host) { h.Nonlocal4 = true }, err: "net.ipv6.ip_nonlocal_bind",
		},
		{
			name: "address to come, nobody knows where", config: Config{Listen: listen("192.0.2.2:5556")},
			change: func(h *Host) { h.Nonlocal4 = true }, // XDP follows it
		},
		{
			name: "all down", config: Config{Listen: listen("0.0.0.0:5556")},
			change: func(h *Host) { h.Links = h.Links[2:] }, err: "no interface of this host is up",
		},
		{name: "too much memory", config: Config{Listen: listen("192.0.2.1:5556"), Rings: 4, RingSize: 1 << 30}, err: "4 rings of it take 4.0 GiB, more than half of this host's 4.0 GiB"},
		{name: "no rings, no memory", config: Config{Listen: listen("192.0.2.1:5556"), Rings: 4, RingSize: 1 << 30, XDP: XDPOff}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, h := test.config, testHost()
			if test.change != nil {
				test.change(&h)
			}
			err := c.Resolve(h)
			switch {
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("error %v, want %q", err, test.err)
			case test.err == "" && err != nil:
				t.Error(err)
			case !slices.Equal(c.Interfaces, test.config.Interfaces):
				t.Errorf("interfaces %q, want %q", c.Interfaces, test.config.Interfaces)
			}
		})
	}
}

func TestReadHost(t *testing.T) {
	h, err := ReadHost()
	if err != nil {
		t.Fatal(err)
	}
	if h.Memory == 0 || len(h.Links) == 0 {
		t.Errorf("%+v", h)
	}
	if owners := h.owners(netip.MustParseAddr("127.0.0.1")); !slices.Equal(owners, []string{"lo"}) {
		t.Errorf("127.0.0.1 is owned by %q", owners)
	}
}
