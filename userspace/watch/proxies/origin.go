package proxies

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"binrepd/userspace/in/packets"
	"binrepd/userspace/mi"
	"binrepd/userspace/state/engine"
)

// originOf returns the number of the source that imported dialogs are said to come from: the one that the request
// names, or the only one at the host of the management interface. Otherwise it is engine.OtherOrigin.
func (s *Service) originOf(ctx context.Context, t *Target, a mi.Address) uint16 {
	senders := s.senders()
	var fits func(packets.Sender) bool
	at, isPort := netip.AddrPort{}, false
	switch {
	case t.Node > 0:
		fits = func(p packets.Sender) bool { return p.Node == t.Node }
	case t.Origin != "":
		host, err := netip.ParseAddr(t.Origin)
		if err != nil {
			if at, err = netip.ParseAddrPort(t.Origin); err != nil {
				return engine.OtherOrigin
			}
			isPort = true
		}
		fits = func(p packets.Sender) bool { return p.Node == 0 && (p.AddrPort() == at || p.AddrPort().Addr() == host) }
	default:
		hosts := hostAddresses(ctx, a)
		fits = func(p packets.Sender) bool { return p.Node == 0 && slices.Contains(hosts, p.AddrPort().Addr()) }
	}
	var found []packets.Sender
	for _, p := range senders {
		if fits(p) {
			found = append(found, p)
		}
	}
	switch {
	case len(found) == 1:
		return s.Engine.OriginNumber(found[0])
	case len(found) == 0 && isPort:
		return s.Engine.OriginNumber(packets.Sender{Endpoint: packets.EndpointOf(at)})
	}
	return engine.OtherOrigin
}

// resolve returns the addresses of a host, IPv4 never mapped.
func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if host == "" {
		return nil, nil // a FIFO
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i := range list {
		list[i] = list[i].Unmap()
	}
	return list, err
}
