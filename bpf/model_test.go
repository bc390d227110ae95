package bpf_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"binrepd/bpf"
	"binrepd/userspace/in/packets"
)

// model is a second, slow and simple implementation of the program. It follows src/parse.h on a slice, and uses package
// packets for everything else.
type model struct {
	listeners []netip.AddrPort
	rings     int
	loopback  bool // whether frames come in on lo
	allowed   []netip.Prefix

	interfaceIndex int // by which frames come in
	stations       []bpf.Station
	homes          []bpf.Home
	own            []netip.Addr
	mayMerge       bool
}

// judgement is the expected result for a frame.
type judgement struct {
	verdict bpf.Verdict
	row     int // 0: the listener is not known; otherwise 1 + listener
	record  record
}

// judge returns the expected result for a frame. A read past the end panics and means a bad length, since the program
// checks every access.
func (m model) judge(frame []byte) (j judgement) {
	defer func() {
		if recover() != nil {
			j = judgement{verdict: bpf.BadLength, row: j.row}
		}
	}()
	be := binary.BigEndian
	kind, rest := be.Uint16(frame[12:]), frame[14:]
	at := bpf.Station{Interface: m.interfaceIndex, MAC: [6]byte(frame)}
	for range 2 {
		if kind == 0x8100 || kind == 0x88a8 {
			if id := uint32(be.Uint16(rest) & 0xfff); id != 0 {
				if kind == 0x88a8 {
					id |= 0x1000
				}
				at.Tags = at.Tags<<16 | id
			}
			kind, rest = be.Uint16(rest[2:]), rest[4:]
		}
	}
	switch kind {
	case 0x0800:
		m.ipv4(rest, at, &j)
	case 0x86dd:
		m.ipv6(rest, at, &j)
	case 0x8100, 0x88a8, 0x9100, 0x8847, 0x8848, 0x8864:
		j.verdict = bpf.Encapsulated
	default:
		j.verdict = bpf.Other
	}
	return j
}

func otherProtocol(p byte) bpf.Verdict {
	switch p {
	case 4, 41, 47, 50, 51, 137:
		return bpf.Encapsulated
	}
	return bpf.Other
}

// find returns the counter row of the listener.
func (m model) find(to netip.AddrPort) int {
	for i, l := range m.listeners {
		if l == to {
			return 1 + i
		}
	}
	return 0
}

// strange returns the verdict on a frame that isn't for this host although it is to an address of it, or Steered.
func (m model) strange(at bpf.Station, to netip.Addr) bpf.Verdict {
	switch {
	case len(m.stations) == 0:
	case at.Tags != 0 && !slices.Contains(m.homes, bpf.Home{Interface: at.Interface, Tags: at.Tags, Address: to}):
		return bpf.OtherVLAN
	case !m.loopback && !slices.Contains(m.stations, at):
		return bpf.OtherMAC
	}
	return bpf.Steered
}

func (m model) ipv4(ip []byte, at bpf.Station, j *judgement) {
	be := binary.BigEndian
	_ = ip[19]
	header := int(ip[0]&15) * 4
	if ip[0]>>4 != 4 || header < 20 {
		j.verdict = bpf.BadHeader
		return
	}
	if ip[9] != 17 {
		j.verdict = otherProtocol(ip[9])
		return
	}
	fragment := be.Uint16(ip[6:])
	if fragment&0x1fff != 0 {
		j.verdict = bpf.Fragment
		return
	}
	udp := ip[header:]
	_ = udp[7]
	source := netip.AddrFrom4([4]byte(ip[12:]))
	destination := netip.AddrFrom4([4]byte(ip[16:]))
	j.row = m.find(netip.AddrPortFrom(destination, be.Uint16(udp[2:])))
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(be.Uint16(ip[i:]))
	}
	switch {
	case j.row == 0:
		j.verdict = bpf.Other
	case m.strange(at, destination) != bpf.Steered:
		j.verdict = m.strange(at, destination)
	case fragment&0x2000 != 0:
		j.verdict = bpf.Fragment
	case header > 20:
		j.verdict = bpf.Options
	case (sum&0xffff+sum>>16)&0xffff+(sum&0xffff+sum>>16)>>16 != 0xffff:
		j.verdict = bpf.BadHeader
	case ip[12] == 0 || ip[12] >= 224 || (source.IsLoopback() || destination.IsLoopback()) && !m.loopback:
		j.verdict = bpf.Martian
	default:
		m.udp(ip[header:], int(be.Uint16(ip[2:]))-header, source, j)
	}
}

func (m model) ipv6(ip []byte, at bpf.Station, j *judgement) {
	be := binary.BigEndian
	_ = ip[39]
	if ip[0]>>4 != 6 {
		j.verdict = bpf.BadHeader
		return
	}
	switch ip[6] {
	case 17:
	case 44:
		j.verdict = bpf.Fragment
		return
	case 0, 43, 60, 135, 139, 140:
		j.verdict = bpf.Options
		return
	default:
		j.verdict = otherProtocol(ip[6])
		return
	}
	source, destination := netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
	udp := ip[40:]
	_ = udp[7]
	j.row = m.find(netip.AddrPortFrom(destination.Unmap(), be.Uint16(udp[2:])))
	low := func(a netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() }
	switch {
	case j.row == 0:
		j.verdict = bpf.Other
	case m.strange(at, destination.Unmap()) != bpf.Steered:
		j.verdict = m.strange(at, destination.Unmap())
	case ip[8] == 0xff || source.Is4In6() || destination.Is4In6() || (low(source) || low(destination)) && !m.loopback:
		j.verdict = bpf.Martian
	default:
		m.udp(udp, int(be.Uint16(ip[4:])), source, j)
	}
}

// udp judges what follows the IP header. size bytes of it belong to the packet.
func (m model) udp(udp []byte, size int, source netip.Addr, j *judgement) {
	be := binary.BigEndian
	if length := int(be.Uint16(udp[4:])); length < 8 || length > size || size > len(udp) {
		j.verdict = bpf.BadLength
		return
	}
	payload := udp[8:be.Uint16(udp[4:])]
	switch {
	case len(payload) < 18 || string(payload[:4]) != "P4CK":
		j.verdict = bpf.NotBIN
	case len(payload) > bpf.MaxPayload:
		j.verdict = bpf.TooLong
	case m.mayMerge && bytes.Contains(payload[1:], []byte("P4CK")):
		j.verdict = bpf.Merged
	case !m.loopback && slices.Contains(m.own, source):
		j.verdict = bpf.Martian
	case len(m.allowed) > 0 && !slices.ContainsFunc(m.allowed, func(p netip.Prefix) bool { return p.Contains(source) }):
		j.verdict = bpf.Denied
	default:
		j.verdict = bpf.Steered
		from := netip.AddrPortFrom(source, be.Uint16(udp))
		hash := steering.Hash(payload, packets.EndpointOf(from))
		j.record = record{
			ring: packets.Spread(hash, m.rings), hash: hash, source: from, listener: uint8(j.row - 1), payload: payload,
		}
	}
}

// fixChecksum corrects the checksum of an IPv4 header of 20 bytes.
func fixChecksum(ip []byte) {
	ip[10], ip[11] = 0, 0
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum&0xffff+sum>>16))
}
