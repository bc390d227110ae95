package arrival

import (
	"encoding/binary"
	"hash/crc32"

	"binrepd/userspace/wire/bin1"
)

// Capability of these packets: that of all packets from one binrepd to another.
const Capability = bin1.OwnCapability

// Commands of Capability. Only append to this list.
const (
	commandQuestion = 16
	commandAnswer   = 17
)

// version is that of what follows the command. A later one may append fields.
const version = 1

const (
	marker         = "P4CK"
	checksumOffset = 4
	nameSizeOffset = 10 // of generation 2; 0 in generation 1
	commandOffset  = 12 + len(Capability)
	questionSize   = commandOffset + 4 + 4 + 8 + 4
	answerSize     = questionSize + 8 + 8
)

// Count is what a receiver counts of one source, or a sender of what it sent. It wraps around.
type Count struct {
	Events uint64 // plain events: packets about dialogs, of either generation, without a stamp
	Digest uint64 // sum of Digest of each
}

// Add counts one packet.
func (c *Count) Add(packet []byte) {
	c.Events++
	c.Digest += Digest(packet)
}

// Since returns by how much c has grown since before.
func (c Count) Since(before Count) Count {
	return Count{Events: c.Events - before.Events, Digest: c.Digest - before.Digest}
}

// Digest returns a number that stands for the content of a BIN packet. A packet of generation 1 has a checksum of its own, which
// covers the content. Generation 2 has none, and the length of the packet in its place.
func Digest(packet []byte) uint64 {
	sum := binary.LittleEndian.Uint32(packet[checksumOffset:])
	if packet[nameSizeOffset]|packet[nameSizeOffset+1] != 0 { // of generation 2: see bin2.IsPacket
		sum = crc32.ChecksumIEEE(packet)
	}
	// The finalizer of MurmurHash3, which spreads every bit: sums of plain checksums would hide too much.
	h := uint64(sum) | uint64(len(packet))<<32
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Message is a question or an answer.
type Message struct {
	// Answer tells an answer from a question.
	Answer bool
	// Nonce is a random number that the answer repeats.
	Nonce uint64
	// Port is where the answer to a question goes, at the address that the question came from; 0: to the port that it came from.
	Port uint16
	// Count is what has arrived from the one that asked; only an answer has it.
	Count Count
}

// Append appends the packet to dst.
func (m *Message) Append(dst []byte) []byte {
	from, command := len(dst), uint32(commandQuestion)
	if m.Answer {
		command = commandAnswer
	}
	le := binary.LittleEndian
	dst = append(dst, marker...)
	dst = append(dst, 0, 0, 0, 0)
	dst = le.AppendUint32(dst, uint32(len(Capability)))
	dst = append(dst, Capability...)
	dst = le.AppendUint32(dst, command)
	dst = le.AppendUint32(dst, version)
	dst = le.AppendUint64(dst, m.Nonce)
	dst = le.AppendUint32(dst, uint32(m.Port))
	if m.Answer {
		dst = le.AppendUint64(dst, m.Count.Events)
		dst = le.AppendUint64(dst, m.Count.Digest)
	}
	le.PutUint32(dst[from+checksumOffset:], bin1.Checksum(dst[from:]))
	return dst
}

// Parse reads a packet and reports whether it is a question or an answer. It ignores bytes behind the last field.
func Parse(packet []byte) (m Message, ok bool) {
	le := binary.LittleEndian
	if len(packet) < questionSize || string(packet[:len(marker)]) != marker || string(bin1.Capability(packet)) != Capability ||
		bin1.Checksum(packet) != le.Uint32(packet[checksumOffset:]) {
		return m, false
	}
	b := packet[commandOffset:]
	command, port := le.Uint32(b), le.Uint32(b[16:])
	if command != commandQuestion && command != commandAnswer || le.Uint32(b[4:]) < version || port > 0xffff {
		return m, false
	}
	m = Message{Answer: command == commandAnswer, Nonce: le.Uint64(b[8:]), Port: uint16(port)}
	if m.Answer {
		if len(packet) < answerSize {
			return Message{}, false
		}
		m.Count = Count{Events: le.Uint64(b[20:]), Digest: le.Uint64(b[28:])}
	}
	return m, true
}
