package neighbour

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrUnknown: the lookup failed. No host on the link has that address.
var ErrUnknown = errors.New("no host on the link answers for that address")

// pollInterval is how often the kernel is asked. A lookup on a local network takes well under a millisecond.
const pollInterval = 20 * time.Millisecond

// Await waits until the kernel knows the next hop to an address: the host itself, or a router. A packet to the address must have
// been sent before, which starts the lookup. It returns ErrUnknown if the lookup fails, and nil where there is nothing to
// look up, such as on the loopback interface, or where the kernel doesn't tell. At the end of ctx it returns ctx's error.
func Await(ctx context.Context, to netip.Addr) error {
	routes, err := netlink.RouteGet(to.Unmap().AsSlice())
	if err != nil || len(routes) == 0 {
		return nil // no route is an error of the sender, which knows its words
	}
	route := routes[0]
	hop := to.Unmap()
	if gateway, ok := netip.AddrFromSlice(route.Gw); ok {
		hop = gateway.Unmap()
	}
	link, err := netlink.LinkByIndex(route.LinkIndex)
	if err != nil {
		return nil // the interface has just gone: the sender will learn of it
	}
	if flags := link.Attrs().Flags; flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 ||
		link.Attrs().RawFlags&unix.IFF_NOARP != 0 || route.Type != unix.RTN_UNICAST {
		return nil
	}
	family := netlink.FAMILY_V6
	if hop.Is4() {
		family = netlink.FAMILY_V4
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		list, err := netlink.NeighList(route.LinkIndex, family)
		if err != nil {
			return nil // nothing is known, and nothing claimed
		}
		switch state(list, hop) {
		case netlink.NUD_NONE, netlink.NUD_INCOMPLETE:
		case netlink.NUD_FAILED:
			return fmt.Errorf("%s on %s: %w", hop, link.Attrs().Name, ErrUnknown)
		default:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// state returns the state of a neighbour, netlink.NUD_NONE if the list lacks it.
func state(list []netlink.Neigh, hop netip.Addr) int {
	for i := range list {
		if addr, ok := netip.AddrFromSlice(list[i].IP); ok && addr.Unmap() == hop.WithZone("") {
			return list[i].State
		}
	}
	return netlink.NUD_NONE
}
