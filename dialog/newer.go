package dialog

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strconv"
)

// Two updates of one call with the same start and state are ordered by the CSeq numbers that they carry, of the last request
// towards each side: these only grow. Where they tell nothing, the one that arrives last wins, and the table remembers what
// it has overtaken: when that comes again, it is old. Without this, two such updates would chase each other for ever between
// appliances that pass events on to each other, each being news to the other one's content.

// pastContents is how many overtaken contents a record remembers. More than one or two updates that nothing orders, within
// the time that an event takes from appliance to appliance, are not known to happen.
const pastContents = 3

// past is the hashes of overtaken contents, latest first; 0 is none.
type past [pastContents]uint16

// with returns the hashes with one more in front.
func (p past) with(hash uint16) past {
	copy(p[1:], p[:pastContents-1])
	p[0] = hash
	return p
}

func (p past) has(hash uint16) bool {
	for _, h := range p {
		if h == hash {
			return true
		}
	}
	return false
}

// contentHash tells contents of one dialog apart. An event that went from appliance to appliance comes back with the very same
// bytes, the timeout among them, so that nothing is left out. It is no defence against forgers, nor need it be. Of 16 bits,
// which is what the header has room for, it takes one such update in 22,000 for an old one.
func contentHash(p Packed) uint16 {
	// MakeTable returns the table that the package keeps: the polynomial is the one that processors compute.
	return uint16(max(crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli))>>16, 1))
}

// compareCSeqs tells by the CSeq numbers which of two contents of one dialog is newer: above 0 it is a, below 0 it is b, and 0 if they
// don't tell. A number that is not there on one side tells nothing, and neither does 0: a proxy that learned of the dialog by
// replication begins there again (see docs/protocol.md).
func compareCSeqs(a, b Packed) int {
	aCaller, aCallee := cseqs(a)
	bCaller, bCallee := cseqs(b)
	caller, callee := compareCSeq(aCaller, bCaller), compareCSeq(aCallee, bCallee)
	if caller*callee < 0 {
		return 0
	}
	return caller + callee
}

func compareCSeq(a, b []byte) int {
	if bytes.Equal(a, b) {
		return 0
	}
	x, errX := strconv.ParseUint(string(a), 10, 32)
	y, errY := strconv.ParseUint(string(b), 10, 32)
	switch {
	case errX != nil || errY != nil || x == 0 || y == 0 || x == y:
		return 0
	case x > y:
		return 1
	}
	return -1
}

// cseqs finds the two CSeq fields of a packed dialog.
func cseqs(p Packed) (caller, callee []byte) {
	off := 0
	skip := func(n int) {
		for range n {
			off += 4 + int(binary.LittleEndian.Uint32(p[off:]))
		}
	}
	skip(int(HID))                       // strings
	off += 4 * int(CallerSocket-HID)     // numbers
	skip(int(CallerCSeq - CallerSocket)) // sockets
	caller, rest := p[off:].Part()
	callee, _ = rest.Part()
	return caller, callee
}
