package appliance

import (
	"net"
	"net/netip"
	"slices"
)

// isOwn tells whether packets to an address come in at one of the listen addresses of this appliance. It can't know what a
// translation of addresses on the way makes of others.
func isOwn(listen []netip.AddrPort, to netip.AddrPort) bool {
	to = netip.AddrPortFrom(to.Addr().Unmap().WithZone(""), to.Port())
	if to.Addr().IsUnspecified() { // the kernel takes it for this host
		loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if to.Addr().Is6() {
			loopback = netip.IPv6Loopback()
		}
		to = netip.AddrPortFrom(loopback, to.Port())
	}
	return slices.ContainsFunc(listen, func(l netip.AddrPort) bool {
		local := l.Addr().Unmap()
		switch {
		case l.Port() != to.Port() || local.Is4() != to.Addr().Is4():
			return false
		case !local.IsUnspecified():
			return local.WithZone("") == to.Addr()
		}
		return onThisHost(to.Addr())
	})
}

// onThisHost tells whether one of the host's interfaces has the address now.
func onThisHost(addr netip.Addr) bool {
	if addr.IsLoopback() { // all of 127.0.0.0/8, of which an interface names one
		return true
	}
	list, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(list, func(n net.Addr) bool {
		prefix, err := netip.ParsePrefix(n.String())
		return err == nil && prefix.Addr().Unmap().WithZone("") == addr
	})
}
