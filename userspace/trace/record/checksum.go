package record

import (
	"encoding/binary"
	"math/bits"
)

// completeChecksums fills in the checksums that the workers leave out: that of UDP over IPv6, which RFC 8200 requires
// (section 8.1), and that of TCP, in all blocks of b.
func completeChecksums(b []byte) {
	for len(b) > 0 {
		size := binary.LittleEndian.Uint32(b[4:])
		completeChecksum(b[ipAt : blockHead+binary.LittleEndian.Uint32(b[20:])])
		b = b[size:]
	}
}

// completeChecksum does it for one IP packet.
func completeChecksum(ip []byte) {
	pseudo, segment, protocol := ip[12:ipv4Header], ip[ipv4Header:], ip[9]
	if ip[0]>>4 == 6 {
		pseudo, segment, protocol = ip[8:ipv6Header], ip[ipv6Header:], ip[6]
	}
	at := 16 // in a TCP header
	if protocol == protocolUDP {
		if ip[0]>>4 == 4 {
			return // 0 means no checksum (RFC 768)
		}
		// A datagram of the greatest size has another length in its header than is there.
		at, segment = 6, segment[:binary.BigEndian.Uint16(segment[4:])]
	}
	segment[at], segment[at+1] = 0, 0
	sum := ^onesSum(pseudo, segment, uint64(len(segment))+uint64(protocol))
	if sum == 0 && protocol == protocolUDP {
		sum = 0xffff // 0 would mean no checksum
	}
	binary.BigEndian.PutUint16(segment[at:], sum)
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
