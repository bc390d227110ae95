package bin1

import "encoding/binary"

// OwnCapability is the capability of packets from one binrepd to another. An OpenSIPS of generation 1 drops packets of a
// capability that it doesn't know, and says nothing (section 1.6 of the specification). So they go to the port of the events,
// and ask whether a binrepd is there.
const OwnCapability = "binrepd"

// Commands of OwnCapability. ONLY APPEND TO THIS LIST.
const (
	CommandHello  = 1
	CommandAnswer = 2
)

// Hello asks a destination whether it is a binrepd, or answers that.
type Hello struct {
	// Answer tells an answer from a question.
	Answer bool
	// Origin is the number of the appliance that sends it (changes.Stamp); 0: it has none.
	Origin uint64
	// Nonce is a random number that the answer repeats. So nobody can answer who didn't see the question.
	Nonce uint64
	// Port is where the answer goes, at the address that the question came from; 0: to the port that it came from.
	Port uint16
}

// helloVersion is the version of what follows the command.
const helloVersion = 1

const (
	ownCommandOffset = nameOffset + len(OwnCapability)
	helloSize        = ownCommandOffset + 4 + 4 + 8 + 8 + 4
)

// Append appends the packet to dst.
//
//	command u32 | version u32 | origin u64 | nonce u64 | port u32
func (h *Hello) Append(dst []byte) []byte {
	from, command := len(dst), uint32(CommandHello)
	if h.Answer {
		command = CommandAnswer
	}
	le := binary.LittleEndian
	dst = append(dst, marker...)
	dst = append(dst, 0, 0, 0, 0)
	dst = le.AppendUint32(dst, uint32(len(OwnCapability)))
	dst = append(dst, OwnCapability...)
	dst = le.AppendUint32(dst, command)
	dst = le.AppendUint32(dst, helloVersion)
	dst = le.AppendUint64(dst, h.Origin)
	dst = le.AppendUint64(dst, h.Nonce)
	dst = le.AppendUint32(dst, uint32(h.Port))
	le.PutUint32(dst[from+checksumOffset:], Checksum(dst[from:]))
	return dst
}

// ParseHello reads a packet and tells whether it is one. Bytes behind the last field are those of a later version.
func ParseHello(packet []byte) (h Hello, ok bool) {
	if len(packet) < helloSize || string(packet[:4]) != marker || string(Capability(packet)) != OwnCapability {
		return h, false
	}
	le := binary.LittleEndian
	if Checksum(packet) != le.Uint32(packet[checksumOffset:]) {
		return h, false
	}
	b := packet[ownCommandOffset:]
	command, port := le.Uint32(b), le.Uint32(b[24:])
	if command != CommandHello && command != CommandAnswer || le.Uint32(b[4:]) < helloVersion || port > 0xffff {
		return h, false
	}
	return Hello{Answer: command == CommandAnswer, Origin: le.Uint64(b[8:]), Nonce: le.Uint64(b[16:]), Port: uint16(port)}, true
}
