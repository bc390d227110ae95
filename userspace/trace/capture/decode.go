package capture

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// decoder decodes frames. It reuses its layers for every frame.
type decoder struct {
	link layers.LinkType // of a file with a single link type

	ipv4 layers.IPv4
	udp  layers.UDP
	tcp  layers.TCP

	parts *reassembly
	flows *flows
}

func newDecoder() decoder { return decoder{parts: newReassembly(), flows: newFlows()} }

// cut records that a layer reported missing bytes.
type cut bool

func (c *cut) SetTruncated() { *c = true }

// result is what became of a frame.
type result uint8

const (
	other result = iota
	damaged
	kept     // a fragment, or a segment; what it completes comes later
	datagram // out has a datagram
)

// decode finds the datagram in a frame, and tells whether there is one. A segment of TCP goes to the flows.
func (d *decoder) decode(link layers.LinkType, data []byte, info gopacket.CaptureInfo, out *Datagram, counts *Counts) bool {
	f := frame{decoder: d, info: info, out: out, counts: counts}
	switch f.from(link, data) {
	case other:
		counts.Other++
	case damaged:
		counts.Damaged++
	case datagram:
		return true
	}
	return false
}

// frame is one frame on its way through the layers.
type frame struct {
	*decoder
	info   gopacket.CaptureInfo
	out    *Datagram
	counts *Counts
	depth  int // IP headers so far
}

// maxDepth is how many IP headers may be within each other, in tunnels.
const maxDepth = 4

// ip decodes an IP packet of either version.
func (f *frame) ip(data []byte) result {
	if f.depth++; f.depth > maxDepth {
		return other
	}
	switch {
	case len(data) == 0:
		return damaged
	case data[0]>>4 == 4:
		return f.overIPv4(data)
	case data[0]>>4 == 6:
		return f.overIPv6(data)
	}
	return damaged
}

func (f *frame) overIPv4(data []byte) result {
	var truncated cut
	ip := &f.ipv4
	if err := ip.DecodeFromBytes(data, &truncated); err != nil || bool(truncated) {
		return damaged
	}
	if ip.Flags&layers.IPv4MoreFragments != 0 || ip.FragOffset != 0 {
		f.counts.Fragments++
		part := new(layers.IPv4) // a copy that outlives the frame
		if err := part.DecodeFromBytes(append([]byte(nil), data...), &truncated); err != nil {
			return damaged
		}
		whole, err := f.parts.overIPv4(part, f.info.Timestamp)
		if err != nil {
			return damaged
		}
		if whole == nil {
			return kept
		}
		ip = whole
	}
	return f.transport(ip.Protocol, ip.Payload, ip.SrcIP, ip.DstIP)
}

const (
	ipv6Header     = 40
	fragmentHeader = 8
)

// overIPv6 passes over the extension headers. Their lengths: RFC 8200, section 4, and RFC 4302, section 2.2.
func (f *frame) overIPv6(data []byte) result {
	if len(data) < ipv6Header {
		return damaged
	}
	from, to := net.IP(data[8:24]), net.IP(data[24:40])
	next, rest := layers.IPProtocol(data[6]), data[ipv6Header:]
	if n := int(binary.BigEndian.Uint16(data[4:])); n > 0 { // 0: a jumbogram, or the sender's card divides it later
		if n > len(rest) {
			return damaged
		}
		rest = rest[:n]
	}
	for {
		size := 0
		switch next {
		case layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Routing, layers.IPProtocolIPv6Destination, 135, 139, 140: // Mobility, HIP, Shim6
			if len(rest) >= 2 {
				size = 8 + 8*int(rest[1])
			}
		case layers.IPProtocolAH:
			if len(rest) >= 2 {
				size = 8 + 4*int(rest[1])
			}
		case layers.IPProtocolIPv6Fragment:
			if len(rest) < fragmentHeader {
				return damaged
			}
			if where := binary.BigEndian.Uint16(rest[2:]); where&0xfff9 == 0 { // the first and the last one
				size = fragmentHeader
				break
			}
			f.counts.Fragments++
			var part layers.IPv6Fragment
			var truncated cut
			if err := part.DecodeFromBytes(append([]byte(nil), rest...), &truncated); err != nil {
				return damaged
			}
			ip := &layers.IPv6{Version: 6, NextHeader: next, SrcIP: append(net.IP(nil), from...), DstIP: append(net.IP(nil), to...)}
			whole := f.parts.overIPv6(ip, &part, f.info.Timestamp)
			if whole == nil {
				return kept
			}
			next, rest = whole.NextHeader, whole.Payload
			continue
		default:
			return f.transport(next, rest, from, to)
		}
		if size == 0 || size > len(rest) {
			return damaged
		}
		next, rest = layers.IPProtocol(rest[0]), rest[size:]
	}
}

// transport decodes what an IP packet carries.
func (f *frame) transport(protocol layers.IPProtocol, data []byte, from, to net.IP) result {
	var truncated cut
	var ports [2]uint16
	switch protocol {
	case layers.IPProtocolUDP:
		if err := f.udp.DecodeFromBytes(data, &truncated); err != nil || bool(truncated) {
			return damaged
		}
		ports = [2]uint16{uint16(f.udp.SrcPort), uint16(f.udp.DstPort)}
	case layers.IPProtocolTCP:
		if err := f.tcp.DecodeFromBytes(data, &truncated); err != nil || bool(truncated) {
			return damaged
		}
		ports = [2]uint16{uint16(f.tcp.SrcPort), uint16(f.tcp.DstPort)}
	case layers.IPProtocolIPv4, layers.IPProtocolIPv6:
		return f.ip(data)
	default:
		return other
	}
	source, ok1 := netip.AddrFromSlice(from)
	target, ok2 := netip.AddrFromSlice(to)
	if !ok1 || !ok2 {
		return damaged
	}
	s, t := netip.AddrPortFrom(source, ports[0]), netip.AddrPortFrom(target, ports[1])
	if protocol == layers.IPProtocolTCP {
		f.counts.Segments++
		f.flows.add(s, t, &f.tcp, f.info.Timestamp)
		return kept
	}
	*f.out = Datagram{Time: f.info.Timestamp, Payload: f.udp.Payload, Source: s, Destination: t}
	return datagram
}
