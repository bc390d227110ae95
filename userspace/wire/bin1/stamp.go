package bin1

import (
	"encoding/binary"

	"binrepd/dialog"
	"binrepd/userspace/changes"
)

// Between appliances an event of capability "dialog" carries its stamp behind its last field. Its command is that of the event
// plus stamped. So the Call-ID lies where it always does, and packets are steered by it as ever.
//
//	+--------------------+------------------+----------------+------------+---------+------------+
//	| marker ... command | fields, as ever  | u64 origin     | u64 seq    | u32 moment           |
//	+--------------------+------------------+----------------+------------+---------+------------+
//
// All numbers are little endian. An OpenSIPS doesn't know these commands. It never gets one: only a destination that has said
// that it is a binrepd does (see Hello).
const (
	stamped   = 1 << 8
	stampSize = 8 + 8 + 4
)

// decodeStamped decodes the fields of a packet with a stamp.
func decodeStamped(fields []byte, kind dialog.Kind, ev *dialog.Event) Verdict {
	end := len(fields) - stampSize
	if end < 0 {
		return Truncated
	}
	origin, seq := binary.LittleEndian.Uint64(fields[end:]), binary.LittleEndian.Uint64(fields[end+8:])
	if origin == 0 || seq == 0 {
		return BadCommand
	}
	verdict := decodeFields(fields[:end:end], kind, ev)
	if verdict == Dialog {
		ev.Peer, ev.Moment = changes.Stamp{Origin: origin}.Peer(), binary.LittleEndian.Uint32(fields[end+16:])
	}
	return verdict
}

// StampOf returns the stamp of a packet, of which Decode made an event with a Peer.
func StampOf(packet []byte) changes.Stamp {
	b := packet[len(packet)-stampSize:]
	return changes.Stamp{Origin: binary.LittleEndian.Uint64(b), Seq: binary.LittleEndian.Uint64(b[8:])}
}

// AppendStamped implements changes.Stamper.
func (Dialect) AppendStamped(dst []byte, kind dialog.Kind, body []byte, c *changes.Change) []byte {
	from := len(dst)
	dst = Append(dst, kind, body)
	binary.LittleEndian.PutUint32(dst[from+commandOffset:], stamped+uint32(kind))
	dst = binary.LittleEndian.AppendUint64(dst, c.Origin)
	dst = binary.LittleEndian.AppendUint64(dst, c.Seq)
	dst = binary.LittleEndian.AppendUint32(dst, c.Moment)
	binary.LittleEndian.PutUint32(dst[from+checksumOffset:], Checksum(dst[from:]))
	return dst
}

// StampSize implements changes.Stamper.
func (Dialect) StampSize() int { return stampSize }
