package record

import (
	"encoding/binary"
	"net/netip"

	"binrepd/userspace/in/packets"
)

// An enhanced packet block has 28 bytes of header, the frame, padding to four bytes, and the length again. All numbers
// are little endian.
//
//	 0       4        8           12         16        20         24         28
//	+-------+--------+-----------+----------+---------+----------+----------+--------------------+---------+
//	| 6     | length | interface | time, hi | time,lo | captured | original | frame, padding     | length  |
//	+-------+--------+-----------+----------+---------+----------+----------+--------------------+---------+
//
// Source: draft-ietf-opsawg-pcapng, section 4.3. The time is in nanoseconds since the Unix epoch, as declared by the
// interface.
const (
	blockType   = 6
	blockHead   = 28
	blockTail   = 4
	etherHeader = 14
	ipv4Header  = 20
	ipv6Header  = 40
	udpHeader   = 8
	tcpHeader   = 20

	hops = 64 // the hop limit in the headers; nobody forwards these packets

	protocolTCP = 6
	protocolUDP = 17
)

const (
	ipAt  = blockHead + etherHeader       // where the IP header begins
	head4 = ipAt + ipv4Header + udpHeader // everything before the payload
	head6 = ipAt + ipv6Header + udpHeader
)

// The made-up MAC addresses are locally administered, and spell "BIN".
const (
	macTo   = "\x02BIN\x00\x01" // this host
	macFrom = "\x02BIN\x00\x02" // everybody else
)

// putEther writes the Ethernet header of a frame.
func putEther(b []byte, ipv6 bool) {
	copy(b, macTo+macFrom)
	etherType := uint16(0x0800)
	if ipv6 {
		etherType = 0x86dd
	}
	binary.BigEndian.PutUint16(b[12:], etherType)
}

// blockTemplate makes the blocks of one listen address. It holds the part that is the same in all of them.
type blockTemplate struct {
	head [head6]byte // for IPv4 only head4 bytes are used
	ipv6 bool
	sum  uint32 // checksum of the constant part of the IPv4 header
}

// newBlockTemplate makes the template for the listener with this number. For a wildcard listener the real destination
// address isn't known, so the wildcard address stands for it.
func newBlockTemplate(number int, listen netip.AddrPort) (m blockTemplate) {
	le, be := binary.LittleEndian, binary.BigEndian
	b := m.head[:]
	le.PutUint32(b[0:], blockType)
	le.PutUint32(b[8:], uint32(number))
	putEther(b[blockHead:], !listen.Addr().Is4())
	ip := b[ipAt:]
	if listen.Addr().Is4() {
		ip[0] = 4<<4 | ipv4Header/4
		ip[6] = 0x40 // don't fragment: it needs no identification
		ip[8], ip[9] = hops, protocolUDP
		to := listen.Addr().As4()
		copy(ip[16:], to[:])
		for i := 0; i < ipv4Header; i += 2 {
			m.sum += uint32(be.Uint16(ip[i:]))
		}
		be.PutUint16(ip[ipv4Header+2:], listen.Port())
		return m
	}
	m.ipv6 = true
	ip[0] = 6 << 4
	ip[6], ip[7] = protocolUDP, hops
	to := listen.Addr().As16()
	copy(ip[24:], to[:])
	be.PutUint16(ip[ipv6Header+2:], listen.Port())
	return m
}

// length returns the size of the block for a payload of n bytes.
func (m *blockTemplate) length(n int) int {
	if m.ipv6 {
		return (head6+n+3)&^3 + blockTail
	}
	return (head4+n+3)&^3 + blockTail
}

// encode writes the block of d into b, which must have the size that length returns. The UDP checksum stays 0. In IPv4
// that means no checksum (RFC 768). In IPv6 the writer fills it in later. The head is copied as an array, because its
// constant size saves a call.
func (m *blockTemplate) encode(b []byte, d *packets.Packet) {
	le, be := binary.LittleEndian, binary.BigEndian
	n := len(d.Payload)
	// The last eight bytes hold padding and the length. The payload then overwrites part of the padding.
	le.PutUint64(b[len(b)-8:], uint64(len(b))<<32)
	if m.ipv6 {
		m.encode6(b, d)
		return
	}
	h := (*[head4]byte)(b)
	*h = [head4]byte(m.head[:])
	packet := uint32(ipv4Header + udpHeader + n)
	le.PutUint32(h[4:], uint32(len(b)))
	le.PutUint32(h[12:], uint32(uint64(d.Received)>>32))
	le.PutUint32(h[16:], uint32(d.Received))
	le.PutUint32(h[20:], etherHeader+packet)
	le.PutUint32(h[24:], etherHeader+packet)
	from := be.Uint32(d.Sender.Addr[12:])
	sum := m.sum + packet + from>>16 + from&0xffff
	sum = sum&0xffff + sum>>16
	be.PutUint16(h[ipAt+2:], uint16(packet))
	be.PutUint16(h[ipAt+10:], ^uint16(sum+sum>>16))
	be.PutUint32(h[ipAt+12:], from)
	be.PutUint16(h[head4-udpHeader:], d.Sender.Port)
	be.PutUint16(h[head4-udpHeader+4:], uint16(udpHeader+n))
	copy(b[head4:], d.Payload)
}

func (m *blockTemplate) encode6(b []byte, d *packets.Packet) {
	le, be := binary.LittleEndian, binary.BigEndian
	n := len(d.Payload)
	h := (*[head6]byte)(b)
	*h = m.head
	packet := uint32(ipv6Header + udpHeader + n)
	le.PutUint32(h[4:], uint32(len(b)))
	le.PutUint32(h[12:], uint32(uint64(d.Received)>>32))
	le.PutUint32(h[16:], uint32(d.Received))
	le.PutUint32(h[20:], etherHeader+packet)
	le.PutUint32(h[24:], etherHeader+packet)
	be.PutUint16(h[ipAt+4:], uint16(udpHeader+n))
	copy(h[ipAt+8:], d.Sender.Addr[:])
	be.PutUint16(h[head6-udpHeader:], d.Sender.Port)
	be.PutUint16(h[head6-udpHeader+4:], uint16(udpHeader+n))
	copy(b[head6:], d.Payload)
}
