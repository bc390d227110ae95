package dialog

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strconv"
)

// Two updates of one call with the same start and state are ordered by the CSeq numbers that they carry, those of the
// last request towards each side: these only grow. Where they say nothing, the update that arrives last wins, and the
// table remembers the content that it overtook: when that comes again, it is old. Without this, two such updates would
// go round for ever between appliances that pass events on to each other, because each is news to the appliance that
// has the other.

// pastContents is how many overtaken contents an entry remembers. An event takes little time from appliance to
// appliance; more than one or two updates that nothing orders are not known to happen within that time.
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

// contentHash tells contents of one dialog apart. An event that went from appliance to appliance comes back with
// exactly the same bytes, so the hash covers all of them, the timeout too. It is no defence against forgery, and needs
// to be none. It has 16 bits, because that is the room in the header: so one such update in 22,000 is taken for an old
// one.
func contentHash(p Packed) uint16 {
	// MakeTable makes nothing here: the package crc32 has this table already. Processors compute this polynomial.
	return uint16(max(crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli))>>16, 1))
}

// compareCSeqs says by the CSeq numbers which of two contents of one dialog is newer: above 0 it is a, below 0 it is b,
// and at 0 they don't tell. A number that one side lacks says nothing. Neither does 0: a proxy that learned of the
// dialog by replication begins there again (see docs/protocol.md).
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
