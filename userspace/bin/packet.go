package bin

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"

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

// Checksum returns the checksum of a packet, CRC-32/JAMCRC of everything behind the checksum field.
func Checksum(packet []byte) uint32 {
	return ^crc32.ChecksumIEEE(packet[coveredOffset:])
}

// Decode makes ev what packet says. The byte slices of ev are views into packet. With any other verdict
// than Dialog, ev is not to be used.
func Decode(packet []byte, ev *dialog.Event) Verdict {
	if len(packet) < MinSize {
		return Short
	}
	if string(packet[:4]) != marker {
		return NotBIN
	}
	if sum, want := Checksum(packet), binary.LittleEndian.Uint32(packet[checksumOffset:]); sum != want {
		if bits.ReverseBytes32(sum) == want {
			return BigEndian
		}
		return BadChecksum
	}
	name := Capability(packet)
	if name == nil {
		return BadCapability
	}
	if string(name) != dialogName {
		return OtherCapability
	}
	if len(packet) < fieldsOffset {
		return Truncated
	}
	fields := packet[fieldsOffset:]
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

// Capability returns the name of the capability (OpenSIPS: module) that packet is for, a view, or nil if its
// length doesn't lie within the packet together with a command behind it, or is zero.
func Capability(packet []byte) []byte {
	if len(packet) < MinSize {
		return nil
	}
	n := uint64(binary.LittleEndian.Uint32(packet[coveredOffset:]))
	if n == 0 || n > uint64(len(packet)-nameOffset) {
		return nil
	}
	return packet[nameOffset : nameOffset+n]
}

// Append appends the packet that tells kind of the packed dialog, or for a deletion the packed key, to dst.
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
