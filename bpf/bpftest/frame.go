package bpftest

import (
	"encoding/binary"
	"net/netip"
)

// Frame is an Ethernet frame with one UDP datagram. Bytes builds it with correct lengths and checksums. A test that
// needs a wrong frame changes the bytes.
type Frame struct {
	// Tags are the VLAN tags, outermost first.
	Tags []Tag
	// From and To must be of one address family. It decides whether the packet is IPv4 or IPv6.
	From, To netip.AddrPort
	Payload  []byte

	// Options of IPv4, a multiple of 4 bytes, at most 40.
	Options []byte
	// Offset is the offset in bytes of this fragment of an IPv4 packet. If it isn't 0, Payload follows the IP header
	// directly, without a UDP header.
	Offset int
	// More says that more fragments of the IPv4 packet follow.
	More bool

	// Extensions are IPv6 extension headers, complete except for the first byte. ExtensionTypes are their numbers.
	Extensions     [][]byte
	ExtensionTypes []byte

	// Padding is the number of bytes after the packet.
	Padding int
}

// Tag is a VLAN tag.
type Tag struct {
	Type uint16 // 0x8100 (802.1Q) or 0x88a8 (802.1ad)
	VLAN uint16
}

const (
	typeIPv4    = 0x0800
	typeIPv6    = 0x86dd
	protocolUDP = 17
)

// Bytes returns the frame as XDP sees it: without preamble and frame check sequence.
func (f Frame) Bytes() []byte {
	b := []byte{0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1} // locally administered
	for _, tag := range f.Tags {
		b = binary.BigEndian.AppendUint16(b, tag.Type)
		b = binary.BigEndian.AppendUint16(b, tag.VLAN)
	}
	if f.To.Addr().Is4() {
		b = binary.BigEndian.AppendUint16(b, typeIPv4)
		b = f.ipv4(b)
	} else {
		b = binary.BigEndian.AppendUint16(b, typeIPv6)
		b = f.ipv6(b)
	}
	return append(b, make([]byte, f.Padding)...)
}

func (f Frame) ipv4(b []byte) []byte {
	l3 := len(b)
	header := 20 + len(f.Options)
	body := f.transport()
	b = append(b, 0x40|byte(header/4), 0x10) // version, header length; the type of service that OpenSIPS sets
	b = binary.BigEndian.AppendUint16(b, uint16(header+len(body)))
	b = binary.BigEndian.AppendUint16(b, 1)
	fragment := uint16(f.Offset / 8)
	if f.More {
		fragment |= 0x2000
	}
	b = binary.BigEndian.AppendUint16(b, fragment)
	b = append(b, 64, protocolUDP, 0, 0)
	b = append(b, f.From.Addr().AsSlice()...)
	b = append(b, f.To.Addr().AsSlice()...)
	b = append(b, f.Options...)
	binary.BigEndian.PutUint16(b[l3+10:], ^sum(0, b[l3:]))
	return append(b, body...)
}

func (f Frame) ipv6(b []byte) []byte {
	body := f.transport()
	length := len(body)
	next := byte(protocolUDP)
	var extensions []byte
	for i, e := range f.Extensions {
		at := len(extensions)
		extensions = append(extensions, e...)
		extensions[at] = protocolUDP
		if i+1 < len(f.Extensions) {
			extensions[at] = f.ExtensionTypes[i+1]
		}
		length += len(e)
	}
	if len(f.Extensions) > 0 {
		next = f.ExtensionTypes[0]
	}
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, next, 64)
	b = append(b, f.From.Addr().AsSlice()...)
	b = append(b, f.To.Addr().AsSlice()...)
	b = append(b, extensions...)
	return append(b, body...)
}

// transport returns everything after the IP header.
func (f Frame) transport() []byte {
	if f.Offset > 0 {
		return f.Payload
	}
	length := 8 + len(f.Payload)
	b := binary.BigEndian.AppendUint16(nil, f.From.Port())
	b = binary.BigEndian.AppendUint16(b, f.To.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, 0, 0)
	b = append(b, f.Payload...)
	if !f.More { // else the checksum would cover later fragments; 0 means none
		pseudo := append(f.From.Addr().AsSlice(), f.To.Addr().AsSlice()...)
		pseudo = append(pseudo, 0, protocolUDP, byte(length>>8), byte(length))
		check := ^sum(uint32(sum(0, pseudo)), b)
		if check == 0 {
			check = 0xffff
		}
		binary.BigEndian.PutUint16(b[6:], check)
	}
	return b
}

// sum is the Internet checksum (RFC 1071) before its complement.
func sum(start uint32, b []byte) uint16 {
	s := start
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
