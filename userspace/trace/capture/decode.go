package capture

import (
	"bytes"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// decoder decodes frames. It reuses its layers for every frame.
type decoder struct {
	link layers.LinkType // of a file with a single link type

	ethernet layers.Ethernet
	vlan     layers.Dot1Q
	sll      layers.LinuxSLL
	sll2     layers.LinuxSLL2
	loopback layers.Loopback
	ipv4     layers.IPv4
	ipv6     layers.IPv6
	fragment layers.IPv6Fragment
	udp      layers.UDP

	parts *reassembly
}

func newDecoder() decoder {
	return decoder{parts: newReassembly()}
}

// cut records that a layer reported missing bytes.
type cut bool

func (c *cut) SetTruncated() { *c = true }

// firstLayer returns the layer that frames of this link type start with.
func firstLayer(link layers.LinkType, data []byte) gopacket.LayerType {
	switch link {
	case layers.LinkTypeEthernet:
		return layers.LayerTypeEthernet
	case layers.LinkTypeLinuxSLL:
		return layers.LayerTypeLinuxSLL
	case layers.LinkTypeLinuxSLL2:
		return layers.LayerTypeLinuxSLL2
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		return layers.LayerTypeLoopback
	case layers.LinkTypeIPv4:
		return layers.LayerTypeIPv4
	case layers.LinkTypeIPv6:
		return layers.LayerTypeIPv6
	case layers.LinkTypeRaw, 12, 14: // 12 and 14 are in files from BSD
		if len(data) > 0 && data[0]>>4 == 6 {
			return layers.LayerTypeIPv6
		}
		return layers.LayerTypeIPv4
	}
	return gopacket.LayerTypeZero
}

// decode finds the datagram in a frame. It returns false if there is none, or only a fragment.
func (d *decoder) decode(link layers.LinkType, data []byte, info gopacket.CaptureInfo, out *Datagram, counts *Counts) bool {
	var truncated cut
	next := firstLayer(link, data)
	for {
		var layer gopacket.DecodingLayer
		switch next {
		case layers.LayerTypeEthernet:
			layer = &d.ethernet
		case layers.LayerTypeDot1Q:
			layer = &d.vlan
		case layers.LayerTypeLinuxSLL:
			layer = &d.sll
		case layers.LayerTypeLinuxSLL2:
			layer = &d.sll2
		case layers.LayerTypeLoopback:
			layer = &d.loopback
		case layers.LayerTypeIPv4:
			return d.overIPv4(data, info, out, counts)
		case layers.LayerTypeIPv6:
			return d.overIPv6(data, info, out, counts)
		default:
			counts.Other++
			return false
		}
		if err := layer.DecodeFromBytes(data, &truncated); err != nil || bool(truncated) {
			counts.Damaged++
			return false
		}
		data, next = layer.LayerPayload(), layer.NextLayerType()
	}
}

func (d *decoder) overIPv4(data []byte, info gopacket.CaptureInfo, out *Datagram, counts *Counts) bool {
	var truncated cut
	ip := &d.ipv4
	if err := ip.DecodeFromBytes(data, &truncated); err != nil || bool(truncated) || ip.Version != 4 {
		counts.Damaged++
		return false
	}
	if ip.Protocol != layers.IPProtocolUDP {
		counts.Other++
		return false
	}
	if ip.Flags&layers.IPv4MoreFragments != 0 || ip.FragOffset != 0 {
		counts.Fragments++
		part := new(layers.IPv4) // a copy that outlives the frame
		if err := part.DecodeFromBytes(bytes.Clone(data), &truncated); err != nil {
			counts.Damaged++
			return false
		}
		whole, err := d.parts.overIPv4(part, info.Timestamp)
		if err != nil {
			counts.Damaged++
			return false
		}
		if whole == nil {
			return false
		}
		ip = whole
	}
	return d.overUDP(ip.Payload, ip.SrcIP, ip.DstIP, info, out, counts)
}

func (d *decoder) overIPv6(data []byte, info gopacket.CaptureInfo, out *Datagram, counts *Counts) bool {
	var truncated cut
	ip := &d.ipv6
	if err := ip.DecodeFromBytes(data, &truncated); err != nil || bool(truncated) || ip.Version != 6 {
		counts.Damaged++
		return false
	}
	payload := ip.Payload
	if ip.NextHeader == layers.IPProtocolIPv6Fragment {
		counts.Fragments++
		if err := d.fragment.DecodeFromBytes(bytes.Clone(payload), &truncated); err != nil {
			counts.Damaged++
			return false
		}
		whole := d.parts.overIPv6(ip, &d.fragment, info.Timestamp)
		if whole == nil {
			return false
		}
		ip, payload = whole, whole.Payload
	}
	if ip.NextHeader != layers.IPProtocolUDP {
		counts.Other++ // includes other extension headers, which no proxy sends
		return false
	}
	return d.overUDP(payload, ip.SrcIP, ip.DstIP, info, out, counts)
}

func (d *decoder) overUDP(data []byte, from, to net.IP, info gopacket.CaptureInfo, out *Datagram, counts *Counts) bool {
	var truncated cut
	if err := d.udp.DecodeFromBytes(data, &truncated); err != nil || bool(truncated) {
		counts.Damaged++
		return false
	}
	source, ok1 := netip.AddrFromSlice(from)
	destination, ok2 := netip.AddrFromSlice(to)
	if !ok1 || !ok2 {
		counts.Damaged++
		return false
	}
	*out = Datagram{
		Time: info.Timestamp, Payload: d.udp.Payload,
		Source:      netip.AddrPortFrom(source, uint16(d.udp.SrcPort)),
		Destination: netip.AddrPortFrom(destination, uint16(d.udp.DstPort)),
	}
	return true
}
