package record

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"binrepd/userspace/in/packets"
)

// An enhanced packet block has 28 bytes of header, the packet, padding to four bytes, and the length again. All numbers
// are little endian.
//
//	 0       4        8           12         16        20         24         28
//	+-------+--------+-----------+----------+---------+----------+----------+--------------------+---------+
//	| 6     | length | interface | time, hi | time,lo | captured | original | packet, padding    | length  |
//	+-------+--------+-----------+----------+---------+----------+----------+--------------------+---------+
//
// Source: draft-ietf-opsawg-pcapng, section 4.3. The time is in nanoseconds since the Unix epoch, as declared by the
// interface.
const (
	blockType  = 6
	blockHead  = 28
	blockTail  = 4
	ipv4Header = 20
	ipv6Header = 40
	udpHeader  = 8

	hops = 64 // the hop limit in the headers; nobody forwards these packets
)

const (
	head4 = blockHead + ipv4Header + udpHeader // everything before the payload
	head6 = blockHead + ipv6Header + udpHeader
)

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
	ip := b[blockHead:]
	if listen.Addr().Is4() {
		ip[0] = 4<<4 | ipv4Header/4
		ip[6] = 0x40 // don't fragment: it needs no identification
		ip[8], ip[9] = hops, 17
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
	ip[6], ip[7] = 17, hops
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
	le.PutUint32(h[20:], packet)
	le.PutUint32(h[24:], packet)
	from := be.Uint32(d.Sender.Addr[12:])
	sum := m.sum + packet + from>>16 + from&0xffff
	sum = sum&0xffff + sum>>16
	be.PutUint16(h[blockHead+2:], uint16(packet))
	be.PutUint16(h[blockHead+10:], ^uint16(sum+sum>>16))
	be.PutUint32(h[blockHead+12:], from)
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
	le.PutUint32(h[20:], packet)
	le.PutUint32(h[24:], packet)
	be.PutUint16(h[blockHead+4:], uint16(udpHeader+n))
	copy(h[blockHead+8:], d.Sender.Addr[:])
	be.PutUint16(h[head6-udpHeader:], d.Sender.Port)
	be.PutUint16(h[head6-udpHeader+4:], uint16(udpHeader+n))
	copy(b[head6:], d.Payload)
}

// completeChecksums fills in the UDP checksum, which IPv6 requires (RFC 8200 section 8.1), in all blocks of b with IPv6
// packets.
func completeChecksums(b []byte) {
	for len(b) > 0 {
		size := binary.LittleEndian.Uint32(b[4:])
		if packet := b[blockHead:size]; packet[0]>>4 == 6 {
			udp := packet[ipv6Header:]
			udp = udp[:binary.BigEndian.Uint16(udp[4:])]
			udp[6], udp[7] = 0, 0
			sum := ^onesSum(packet[8:ipv6Header], udp, uint64(len(udp))+17)
			if sum == 0 {
				sum = 0xffff // 0 would mean no checksum
			}
			binary.BigEndian.PutUint16(udp[6:], sum)
		}
		b = b[size:]
	}
}

// onesSum adds two byte slices, of which the first has an even length, and a number in ones' complement (RFC 1071).
func onesSum(first, second []byte, number uint64) uint16 {
	sum, carry := number, uint64(0)
	for _, b := range [...][]byte{first, second} {
		for ; len(b) >= 8; b = b[8:] {
			sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), carry)
		}
		var rest [8]byte
		copy(rest[:], b)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(rest[:]), carry)
	}
	sum, carry = bits.Add64(sum, 0, carry)
	sum += carry
	sum = sum&0xffffffff + sum>>32
	sum = sum&0xffff + sum>>16&0xffff + sum>>32
	sum = sum&0xffff + sum>>16
	return uint16(sum&0xffff + sum>>16)
}

// fileHeader returns the start of each file: the section header, and an interface for each listen address.
func fileHeader(application string, listeners []netip.AddrPort) ([]byte, error) {
	var b bytes.Buffer
	var w *pcapgo.NgWriter
	for _, l := range listeners {
		in := pcapgo.NgInterface{
			Name: l.String(), LinkType: layers.LinkTypeRaw, TimestampResolution: 9, // powers of a tenth: nanoseconds
			Description: "UDP datagrams to " + l.String() + "; the IP and UDP headers are made up",
		}
		var err error
		if w == nil {
			w, err = pcapgo.NewNgWriterInterface(&b, in, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: application}})
		} else {
			_, err = w.AddInterface(in)
		}
		if err != nil {
			return nil, fmt.Errorf("file header: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("file header: %w", err)
	}
	return b.Bytes(), nil
}
