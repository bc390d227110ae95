package packets

import (
	"encoding/binary"
	"math/bits"
)

// MaxSteeringKey is how many bytes of a Call-ID the steering hash looks at. Longer ones are cut, so that
// the XDP program, which computes the same hash, stays bounded.
const MaxSteeringKey = 256

// Steering computes the hash that decides which ring a packet goes to, and which shard its event.
// The XDP program computes the same function (bpf/src/steer.h); a test compares the two on real packets.
//
// It is SipHash-1-3 with a 128-bit key; the result is folded to 32 bits by exclusive or. The key is random at each start: the caller
// chooses the Call-ID, and without the key cannot aim calls at one ring. Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.
type Steering struct {
	K0, K1 uint64
}

// Hash returns the steering hash of payload, which came from source.
func (s Steering) Hash(payload []byte, source Endpoint) uint32 {
	if key := SteeringKey(payload); key != nil {
		return s.sum(key)
	}
	var key [18]byte
	copy(key[:], source.Addr[:])
	binary.BigEndian.PutUint16(key[16:], source.Port)
	return s.sum(key[:])
}

// CallID returns the steering hash of a dialog's packets, given its Call-ID.
func (s Steering) CallID(callID []byte) uint32 {
	return s.sum(callID[:min(len(callID), MaxSteeringKey)])
}

// SteeringKey returns the bytes of a BIN packet that decide where it is steered: the Call-ID of a packet about a dialog, the address
// of record of one about a contact, at most MaxSteeringKey bytes. It returns nil where there is no such string; then the source's
// address and port decide. The rule looks at nothing but the capability and the strings up to the key:
//
//	generation 1: the first string of "dialog", the second of "ul"
//	generation 2: the first string of "dialog-dlg-repl", the second of "usrloc-contact-repl"
//
// Every message of these has its key there, whatever its type and version, except that of a tag in OpenSIPS 2.4: its name stands in
// for the Call-ID. A stamp lies behind the fields, so packets between appliances are steered like all others.
func SteeringKey(payload []byte) []byte {
	const name = 12 // marker 4, checksum or size 4, length of the name 4
	if len(payload) < name {
		return nil
	}
	// Generation 2 has a version there, and the length of the name in 2 bytes. In generation 1 these 2 bytes are the upper half
	// of the length. They are 0, because no name is that long.
	n, rest := binary.LittleEndian.Uint32(payload[8:]), payload[name:]
	switch {
	case n == 6 && begins(rest, "dialog"):
		return keyAt(payload, name+6+4, lengthSize)
	case n == 2 && begins(rest, "ul"):
		return keyBehind(payload, name+2+4, lengthSize)
	case n>>16 == 15 && begins(rest, "dialog-dlg-repl"):
		return keyAt(payload, name+15+4, lengthSize2)
	case n>>16 == 19 && begins(rest, "usrloc-contact-repl"):
		return keyBehind(payload, name+19+4, lengthSize2)
	}
	return nil
}

// The size of the length before a string, in each generation.
const (
	lengthSize  = 4
	lengthSize2 = 2
)

func begins(b []byte, name string) bool { return len(b) >= len(name) && string(b[:len(name)]) == name }

// keyAt returns the string at offset off as a key.
func keyAt(b []byte, off, prefix int) []byte {
	key, _ := cutString(b, off, prefix)
	if len(key) == 0 {
		return nil
	}
	return key[:min(len(key), MaxSteeringKey)]
}

// keyBehind returns the string behind the one at offset off as a key.
func keyBehind(b []byte, off, prefix int) []byte {
	if _, next := cutString(b, off, prefix); next > 0 {
		return keyAt(b, next, prefix)
	}
	return nil
}

// cutString returns the string at offset off, whose length stands before it in prefix bytes, and the offset behind it, or 0 for
// that when it doesn't lie within b.
func cutString(b []byte, off, prefix int) (s []byte, next int) {
	if len(b)-off < prefix {
		return nil, 0
	}
	n := uint64(binary.LittleEndian.Uint16(b[off:]))
	if prefix == lengthSize {
		n = uint64(binary.LittleEndian.Uint32(b[off:]))
	}
	if n > uint64(len(b)-off-prefix) {
		return nil, 0
	}
	next = off + prefix + int(n)
	return b[off+prefix : next], next
}

// Spread maps a hash to one of n numbers, evenly and in order: with n a multiple of m, the n numbers
// fall into m equal runs, and Spread(h, m) tells in which run Spread(h, n) lies. So the shards of the table
// are divided among the rings by one hash.
func Spread(hash uint32, n int) int {
	return int(uint64(hash) * uint64(n) >> 32)
}

func (s Steering) sum(key []byte) uint32 {
	v0 := s.K0 ^ 0x736f6d6570736575
	v1 := s.K1 ^ 0x646f72616e646f6d
	v2 := s.K0 ^ 0x6c7967656e657261
	v3 := s.K1 ^ 0x7465646279746573
	length := uint64(len(key))
	for ; len(key) >= 8; key = key[8:] {
		m := binary.LittleEndian.Uint64(key)
		v3 ^= m
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0 ^= m
	}
	m := length << 56
	for i, c := range key {
		m |= uint64(c) << (8 * i)
	}
	v3 ^= m
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= m
	v2 ^= 0xff
	for range 3 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	h := v0 ^ v1 ^ v2 ^ v3
	return uint32(h) ^ uint32(h>>32)
}

func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v2 += v3
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v1
	v0 += v3
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
