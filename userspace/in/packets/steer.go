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

// SteeringKey returns the bytes of a BIN packet that decide where it is steered: the first string of
// capability "dialog" (the Call-ID), the second of capability "ul" (the address of record), at most MaxSteeringKey of them.
// It returns nil where there is no such string; then the source's address and port decide.
func SteeringKey(payload []byte) []byte {
	const name = 12 // marker 4, checksum 4, length of the name 4
	if len(payload) < name {
		return nil
	}
	var key []byte
	switch n := binary.LittleEndian.Uint32(payload[8:]); {
	case n == 6 && len(payload) >= name+6 && string(payload[name:name+6]) == "dialog":
		key, _ = cutString(payload, name+6+4)
	case n == 2 && len(payload) >= name+2 && string(payload[name:name+2]) == "ul":
		if _, next := cutString(payload, name+2+4); next > 0 {
			key, _ = cutString(payload, next)
		}
	}
	if len(key) == 0 {
		return nil
	}
	return key[:min(len(key), MaxSteeringKey)]
}

// cutString returns the length-prefixed string at offset off and the offset behind it, or 0 for that
// when it doesn't lie within b.
func cutString(b []byte, off int) (s []byte, next int) {
	if len(b)-off < 4 {
		return nil, 0
	}
	n := uint64(binary.LittleEndian.Uint32(b[off:]))
	if n > uint64(len(b)-off-4) {
		return nil, 0
	}
	next = off + 4 + int(n)
	return b[off+4 : next], next
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
