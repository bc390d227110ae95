package packets

import "net/netip"

// Endpoint is an address and a port without pointers, so that arrays of packets cost the garbage
// collector nothing. IPv4 addresses are held as IPv4-mapped IPv6 ones (::ffff:a.b.c.d, RFC 4291
// section 2.5.5.2). The zero value is no endpoint.
type Endpoint struct {
	Addr [16]byte
	Port uint16
}

// EndpointOf converts ap; a zone is dropped.
func EndpointOf(ap netip.AddrPort) Endpoint {
	return Endpoint{Addr: ap.Addr().As16(), Port: ap.Port()}
}

// AddrPort converts back; an IPv4-mapped address becomes an IPv4 one.
func (e Endpoint) AddrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(e.Addr).Unmap(), e.Port)
}

// String returns "192.0.2.1:5556" or "[2001:db8::1]:5556".
func (e Endpoint) String() string { return e.AddrPort().String() }
