package capture

import (
	"encoding/binary"

	"github.com/gopacket/gopacket/layers"
)

// EtherTypes that something else follows before IP, and those of IP. Source: the registry of IEEE 802 numbers at IANA.
const (
	etherIPv4  = 0x0800
	etherIPv6  = 0x86dd
	etherVLAN  = 0x8100
	etherQinQ  = 0x88a8
	etherQinQ2 = 0x9100 // older switches
	etherPPPoE = 0x8864
	etherMPLS  = 0x8847
	etherMPLS2 = 0x8848
	// etherLeast: a lower number is the length of an IEEE 802.3 frame.
	etherLeast = 0x0600
)

// from decodes a frame of a link type. Formats: https://www.tcpdump.org/linktypes.html.
func (f *frame) from(link layers.LinkType, data []byte) result {
	be := binary.BigEndian
	switch link {
	case layers.LinkTypeEthernet:
		if len(data) < 14 {
			return damaged
		}
		return f.ether(be.Uint16(data[12:]), data[14:])
	case layers.LinkTypeLinuxSLL:
		if len(data) < 16 {
			return damaged
		}
		return f.ether(be.Uint16(data[14:]), data[16:])
	case layers.LinkTypeLinuxSLL2:
		if len(data) < 20 {
			return damaged
		}
		return f.ether(be.Uint16(data), data[20:])
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		if len(data) < 4 {
			return damaged
		}
		// The family is a number of the system that captured, in its byte order: 2 for IPv4, several for IPv6.
		family := min(be.Uint32(data), binary.LittleEndian.Uint32(data))
		if family == 2 || family == 23 || family == 24 || family == 28 || family == 30 {
			return f.ip(data[4:])
		}
	case layers.LinkTypeIPv4, layers.LinkTypeIPv6, layers.LinkTypeRaw, 12, 14: // 12 and 14 are in files from BSD
		return f.ip(data)
	}
	return other
}

// ether decodes what follows an EtherType.
func (f *frame) ether(kind uint16, data []byte) result {
	be := binary.BigEndian
	for {
		switch kind {
		case etherIPv4, etherIPv6:
			return f.ip(data)
		case etherVLAN, etherQinQ, etherQinQ2:
			if len(data) < 4 {
				return damaged
			}
			kind, data = be.Uint16(data[2:]), data[4:]
		case etherPPPoE:
			if len(data) < 8 {
				return damaged
			}
			if ppp := be.Uint16(data[6:]); ppp != 0x21 && ppp != 0x57 { // IPv4, IPv6
				return other
			}
			return f.ip(data[8:])
		case etherMPLS, etherMPLS2:
			for bottom := false; !bottom; data = data[4:] {
				if len(data) < 4 {
					return damaged
				}
				bottom = data[2]&1 != 0
			}
			if len(data) > 0 && data[0]>>4 != 4 && data[0]>>4 != 6 {
				return other
			}
			return f.ip(data)
		default:
			const snap = "\xaa\xaa\x03\x00\x00\x00" // IEEE 802.2 with an EtherType (RFC 1042)
			if kind >= etherLeast || len(data) < len(snap)+2 || string(data[:len(snap)]) != snap {
				return other
			}
			kind, data = be.Uint16(data[len(snap):]), data[len(snap)+2:]
			if kind < etherLeast {
				return other
			}
		}
	}
}
