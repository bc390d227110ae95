package bin1

import (
	"encoding/binary"
	"hash/crc32"

	"binrepd/dialog"
)

// Sizes of a packet in bytes.
const (
	// MinSize is that of the shortest packet that a receiver looks at.
	MinSize = 18
	// MaxSize is what fits a UDP datagram over IPv4.
	MaxSize = 65507
)

const (
	marker         = "P4CK"
	checksumOffset = 4
	coveredOffset  = 8 // the checksum covers the packet from here on
	nameOffset     = 12
	dialogName     = "dialog"
	commandOffset  = nameOffset + len(dialogName)
	fieldsOffset   = commandOffset + 4 // of capability "dialog"
)

// Checksum returns the checksum that a packet of at least 8 bytes ought to carry, CRC-32/JAMCRC of everything
// behind the checksum field.
func Checksum(packet []byte) uint32 {
	return ^crc32.ChecksumIEEE(packet[coveredOffset:])
}

// Decode makes ev what packet says; nothing of what ev held before remains. The byte slices of ev are views
// into packet. With any other verdict than Dialog, ev is not to be used.
//
// The first thing wrong decides the verdict: size, marker, checksum, capability, command, then the fields from left
// to right, and last what they say.
func Decode(packet []byte, ev *dialog.Event) Verdict {
	if len(packet) < MinSize {
		return Short
	}
	if string(packet[:4]) != marker {
		return NotBIN
	}
	if sum := Checksum(packet); sum != binary.LittleEndian.Uint32(packet[checksumOffset:]) {
		if isBigEndian(packet, sum) {
			return BigEndian
		}
		return BadChecksum
	}
	name := Capability(packet)
	switch {
	case name == nil:
		return BadCapability
	case len(packet) < nameOffset+len(name)+4:
		return Truncated // no room for the command
	case string(name) != dialogName:
		return OtherCapability
	}
	// The views end where the packet ends, so that whoever appends to one gets a copy and does not
	// write into the datagram behind it.
	fields := packet[fieldsOffset:len(packet):len(packet)]
	switch binary.LittleEndian.Uint32(packet[commandOffset:]) {
	case uint32(dialog.Create):
		return verdicts[dialog.ParseSnapshot(fields, dialog.Create, ev)]
	case uint32(dialog.Update):
		return verdicts[dialog.ParseSnapshot(fields, dialog.Update, ev)]
	case uint32(dialog.Delete):
		return verdicts[dialog.ParseKey(fields, ev)]
	}
	return BadCommand
}

// isBigEndian tells whether packet, whose checksum ought to be sum, comes from a big-endian sender: both the checksum
// and the length of the name make sense in that byte order. Nothing else in a packet tells of it.
func isBigEndian(packet []byte, sum uint32) bool {
	n := binary.BigEndian.Uint32(packet[coveredOffset:])
	return sum == binary.BigEndian.Uint32(packet[checksumOffset:]) && n > 0 && uint64(n) <= uint64(len(packet)-nameOffset)
}

// Capability returns the name of the capability (OpenSIPS: module) that packet is for, or nil if there is none:
// the packet is shorter than MinSize, or the name is empty or reaches past the end. The name is a view and is
// whatever the sender wrote: any bytes, and nearly as long as a packet.
func Capability(packet []byte) []byte {
	if len(packet) < MinSize {
		return nil
	}
	n := uint64(binary.LittleEndian.Uint32(packet[coveredOffset:]))
	if n == 0 || n > uint64(len(packet)-nameOffset) {
		return nil
	}
	end := nameOffset + int(n)
	return packet[nameOffset:end:end]
}

// Append appends the packet that tells kind of the packed dialog, or for a deletion the packed key, to dst. It
// doesn't look at body. A packet above MaxSize can be made but not sent; Size tells beforehand.
func Append(dst []byte, kind dialog.Kind, body dialog.Packed) []byte {
	from := len(dst)
	dst = append(dst, marker...)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(dialogName)))
	dst = append(dst, dialogName...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(kind))
	dst = append(dst, body...)
	packet := dst[from:]
	binary.LittleEndian.PutUint32(packet[checksumOffset:], Checksum(packet))
	return dst
}

// Size returns the size of the packet that Append makes of body.
func Size(body dialog.Packed) int { return fieldsOffset + len(body) }
