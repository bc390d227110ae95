package bin1

import (
	"encoding/binary"
	"hash/crc32"

	"binrepd/dialog"
)

// Sizes of a packet in bytes.
const (
	// MinSize is the size of the shortest packet that a receiver looks at.
	MinSize = 18
	// MaxSize is the largest payload of a UDP datagram over IPv4.
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

// Checksum returns the checksum that a packet of at least 8 bytes should carry: CRC-32/JAMCRC of everything
// behind the checksum field.
func Checksum(packet []byte) uint32 {
	return ^crc32.ChecksumIEEE(packet[coveredOffset:])
}

// Decode reads packet into ev and overwrites all that ev held before. The byte slices of ev are views into packet.
// If the verdict is not Dialog, ev must not be used.
//
// The first fault decides the verdict. The order of checks is size, marker, checksum, capability, command, the
// lengths of the fields from left to right, and last their values.
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
	// The views end where the packet ends, so that appending to one makes a copy and does not
	// write into the datagram behind it.
	fields := packet[fieldsOffset:len(packet):len(packet)]
	command := binary.LittleEndian.Uint32(packet[commandOffset:])
	if command > stamped && command <= stamped+uint32(dialog.Delete) {
		return decodeStamped(fields, dialog.Kind(command-stamped), ev)
	}
	if command == 0 || command > uint32(dialog.Delete) {
		return BadCommand
	}
	return decodeFields(fields, dialog.Kind(command), ev)
}

// decodeFields decodes what follows the command.
func decodeFields(fields []byte, kind dialog.Kind, ev *dialog.Event) Verdict {
	if kind == dialog.Delete {
		return verdicts[dialog.ParseKey(fields, ev)]
	}
	return verdicts[dialog.ParseSnapshot(fields, kind, ev)]
}

// isBigEndian reports whether packet, whose checksum should be sum, comes from a big-endian sender: both the checksum
// and the length of the name make sense in that byte order. Nothing else in a packet shows the byte order.
func isBigEndian(packet []byte, sum uint32) bool {
	n := binary.BigEndian.Uint32(packet[coveredOffset:])
	return sum == binary.BigEndian.Uint32(packet[checksumOffset:]) && n > 0 && uint64(n) <= uint64(len(packet)-nameOffset)
}

// Capability returns the name of the capability (OpenSIPS: module) that packet is for, or nil if there is none:
// the packet is shorter than MinSize, or the name is empty or reaches past the end. The name is a view. It holds
// any bytes that the sender wrote, and may be nearly as long as the packet.
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

// Append appends the packet for a change of that kind to dst. body is the packed dialog, for a deletion the packed key;
// Append doesn't check it. A packet larger than MaxSize can be made but not sent: call Size first.
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
