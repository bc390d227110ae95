package appliance

import (
	"net"
	"net/netip"
	"testing"
)

func TestIsOwn(t *testing.T) {
	host := "" // an address of this host that isn't a loopback one, if it has one
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if p := netip.MustParsePrefix(a.String()); p.Addr().Is4() && !p.Addr().IsLoopback() {
			host = p.Addr().String()
		}
	}
	for _, c := range []struct {
		listen, to string
		own        bool
	}{
		{"192.0.2.1:5556", "192.0.2.1:5556", true},
		{"192.0.2.1:5556", "192.0.2.1:5557", false},
		{"192.0.2.1:5556", "192.0.2.2:5556", false},
		{"192.0.2.1:5556", "[::ffff:192.0.2.1]:5556", true},
		{"192.0.2.1:5556", "127.0.0.1:5556", false},
		{"0.0.0.0:5556", "127.0.0.1:5556", true},
		{"0.0.0.0:5556", "127.0.0.5:5556", true},
		{"0.0.0.0:5556", "0.0.0.0:5556", true},
		{"0.0.0.0:5556", "192.0.2.1:5556", false},
		{"0.0.0.0:5556", "[::1]:5556", false},
		{"127.0.0.1:5556", "0.0.0.0:5556", true},
		{"[::]:5556", "[::1]:5556", true},
		{"[::]:5556", "[::]:5556", true},
		{"[::]:5556", "[2001:db8::1]:5556", false},
		{"[::]:5556", "127.0.0.1:5556", false},
		{"[::1]:5556", "[::]:5556", true},
		{"[2001:db8::1]:5556", "[2001:db8::1]:5556", true},
		{"0.0.0.0:5556", host + ":5556", true},
		{"0.0.0.0:5556", host + ":5557", false},
	} {
		to, err := netip.ParseAddrPort(c.to)
		if err != nil {
			continue // no such address on this host
		}
		listen := []netip.AddrPort{netip.MustParseAddrPort("198.51.100.9:1"), netip.MustParseAddrPort(c.listen)}
		if got := isOwn(listen, to); got != c.own {
			t.Errorf("listening at %s, %s is own: %v", c.listen, c.to, got)
		}
	}
}
