package bin1test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Datagram is one UDP datagram out of a capture.
type Datagram struct {
	Time                time.Time // of its last fragment
	Source, Destination netip.AddrPort
	Payload             []byte
	Fragments           int // 1 where it was not fragmented
}

// fragmentKey tells which fragments belong together (RFC 791 section 3.2).
type fragmentKey struct {
	source, destination netip.Addr
	protocol            uint8
	id                  uint16
}

type fragment struct {
	offset int
	last   bool
	data   []byte
}

// Datagrams returns the UDP datagrams in frames in order of completion, those over IPv4 reassembled. It passes over
// frames that hold anything else, and fails on damaged ones and on fragments without the rest. IPv6 is understood
// without extension headers, and so without fragments.
func Datagrams(frames []Frame) ([]Datagram, error) {
	var out []Datagram
	pending := map[fragmentKey][]fragment{}
	for i, f := range frames {
		packet, version := networkLayer(f.Data)
		var key fragmentKey
		var body []byte
		var err error
		count := 1
		switch version {
		case 4:
			var part fragment
			if key, part, err = parseIPv4(packet); err != nil {
				return nil, fmt.Errorf("frame %d: %w", i, err)
			}
			body = part.data
			if part.offset > 0 || !part.last {
				pending[key] = append(pending[key], part)
				if body = assemble(pending[key]); body == nil {
					continue
				}
				count = len(pending[key])
				delete(pending, key)
			}
		case 6:
			if key, body, err = parseIPv6(packet); err != nil {
				return nil, fmt.Errorf("frame %d: %w", i, err)
			}
		default:
			continue
		}
		if key.protocol != 17 {
			continue
		}
		if len(body) < 8 || int(binary.BigEndian.Uint16(body[4:])) != len(body) {
			return nil, fmt.Errorf("frame %d: UDP length does not match %d bytes", i, len(body))
		}
		out = append(out, Datagram{
			Time:        f.Time,
			Source:      netip.AddrPortFrom(key.source, binary.BigEndian.Uint16(body)),
			Destination: netip.AddrPortFrom(key.destination, binary.BigEndian.Uint16(body[2:])),
			Payload:     body[8:], Fragments: count,
		})
	}
	if len(pending) > 0 {
		return nil, fmt.Errorf("%d fragmented datagrams are incomplete", len(pending))
	}
	return out, nil
}

// networkLayer returns what is behind the Ethernet header and any VLAN tags of frame, and the IP version
// that its type says, or 0.
func networkLayer(frame []byte) (packet []byte, version int) {
	for off := 12; len(frame) >= off+2; off += 4 {
		switch binary.BigEndian.Uint16(frame[off:]) {
		case 0x8100, 0x88a8: // a VLAN tag: the type is behind it
		case 0x0800:
			return frame[off+2:], 4
		case 0x86dd:
			return frame[off+2:], 6
		default:
			return nil, 0
		}
	}
	return nil, 0
}

func parseIPv4(p []byte) (fragmentKey, fragment, error) {
	if len(p) < 20 || p[0]>>4 != 4 {
		return fragmentKey{}, fragment{}, fmt.Errorf("no IPv4 header in %d bytes", len(p))
	}
	header, total := int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
	if header < 20 || total < header || total > len(p) {
		return fragmentKey{}, fragment{}, fmt.Errorf("IPv4 lengths %d and %d in %d bytes", header, total, len(p))
	}
	if sum := onesSum(p[:header]); sum != 0xffff {
		return fragmentKey{}, fragment{}, fmt.Errorf("IPv4 header sums up to %#04x", sum)
	}
	word := binary.BigEndian.Uint16(p[6:])
	key := fragmentKey{
		source: netip.AddrFrom4([4]byte(p[12:])), destination: netip.AddrFrom4([4]byte(p[16:])),
		protocol: p[9], id: binary.BigEndian.Uint16(p[4:]),
	}
	return key, fragment{offset: int(word&0x1fff) * 8, last: word&0x2000 == 0, data: p[header:total]}, nil
}

func parseIPv6(p []byte) (fragmentKey, []byte, error) {
	if len(p) < 40 || p[0]>>4 != 6 {
		return fragmentKey{}, nil, fmt.Errorf("no IPv6 header in %d bytes", len(p))
	}
	total := 40 + int(binary.BigEndian.Uint16(p[4:]))
	if total > len(p) {
		return fragmentKey{}, nil, fmt.Errorf("IPv6 length %d in %d bytes", total, len(p))
	}
	key := fragmentKey{
		source: netip.AddrFrom16([16]byte(p[8:])), destination: netip.AddrFrom16([16]byte(p[24:])),
		protocol: p[6],
	}
	return key, p[40:total], nil
}

// assemble returns the whole that parts make up, or nil as long as something is missing.
func assemble(parts []fragment) []byte {
	slices.SortStableFunc(parts, func(a, b fragment) int { return a.offset - b.offset })
	var whole []byte
	for _, part := range parts {
		if part.offset != len(whole) {
			return nil
		}
		whole = append(whole, part.data...)
		if part.last {
			return whole
		}
	}
	return nil
}

// onesSum adds up b in ones' complement; with a right checksum in b it is 0xffff (RFC 1071).
func onesSum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 > 0 {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}
