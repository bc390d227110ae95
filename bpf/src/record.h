// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The contract with user space: the contents of a ring, the verdicts on frames, and the contents of the maps. The Go
// types are generated from the compiled object (../gen.go); ../record_test.go compares the layout.

#ifndef BINREPD_RECORD_H
#define BINREPD_RECORD_H

#include <linux/types.h>

// Sizes that user space needs as well.
enum limit {
	MAX_RINGS = 16,
	MAX_LISTENERS = 16,
	// Wildcard listeners are expanded to the addresses of the host.
	MAX_ADDRESSES = 4096,
	// Stations are the MAC addresses of the host, by interface and VLAN. Homes are the VLANs of the listen addresses.
	MAX_STATIONS = 64,
	MAX_HOMES = 4096,
	// Bytes of the key that go into the steering hash (packets.MaxSteeringKey).
	MAX_KEY = 256,
	// The shortest packet that any receiver of BIN accepts.
	MIN_PAYLOAD = 18,
	// The longest payload that goes into a ring: what fits the largest common MTU of 9216, and a bit more.
	MAX_PAYLOAD = 9232,
	// The ring space of such a record, with all headers.
	MAX_SLOT = 9280,
	// The ring space of a wake-up: a cache line, since all records are whole cache lines.
	WAKE_SLOT = 64,
	// States of a consumer's flag that are no position (struct sleeper).
	AWAKE = 0,
	ASLEEP = 1,
	// The ring's own header for each record.
	SLOT_HEADER = 8,
	// Maximum number of prefixes in the list of allowed sources.
	MAX_ALLOWED = 1024,
	// Maximum number of sources with a count of refusals, and with a bucket.
	MAX_DENIED = 1024,
	MAX_BUCKETS = 16384,
};

// verdict is the decision about a frame: every frame gets exactly one. VERDICT_STEERED, VERDICT_DENIED and
// VERDICT_RATE_LIMITED end the frame. All others leave it to the kernel. APPEND ONLY: they index counters (../verdict.go).
enum verdict {
	VERDICT_STEERED,      // the datagram is in a ring, and the frame ends here
	VERDICT_OTHER,        // not a UDP datagram to a listen address: the host's other traffic
	VERDICT_ENCAPSULATED, // a third VLAN tag, MPLS, PPPoE, a tunnel
	VERDICT_FRAGMENT,     // an IP fragment; the listener is known only for first fragments of IPv4
	VERDICT_OPTIONS,      // IPv4 options; IPv6 extension headers (their listener is not known)
	VERDICT_BAD_LENGTH,   // a header or a length doesn't fit the frame
	VERDICT_BAD_HEADER,   // IP version, header length or header checksum is wrong
	VERDICT_MARTIAN,      // an address that must not come in here, such as 127.0.0.1 from outside
	VERDICT_NOT_BIN,      // to a listen address, but not a BIN packet
	VERDICT_TOO_LONG,     // a BIN packet longer than MAX_PAYLOAD bytes
	VERDICT_RING_FULL,    // the ring had no room
	VERDICT_FAULT,        // a helper refused something that should always work; never seen
	VERDICT_DENIED,       // a BIN packet from a source that is not on the list
	VERDICT_RATE_LIMITED, // a BIN packet from a source that has sent more than its rate
	VERDICT_OTHER_VLAN,   // a tag of a VLAN on which the listen address doesn't live
	VERDICT_OTHER_MAC,    // the destination MAC address isn't one of this host's
	VERDICT_MERGED,       // several datagrams that the kernel has merged into one
	VERDICTS,
};

// record is a sample in a ring: this header, length bytes of payload, and unused bytes up to the size class.
struct record {
	__u64 received; // CLOCK_MONOTONIC, nanoseconds
	__u32 length;   // of the payload, bytes
	__u32 hash;     // steering hash
	__u8 addr[16];  // source; IPv4 as ::ffff:a.b.c.d
	__u16 port;     // source, host byte order
	__u8 listener;  // index of the listen address
	__u8 pad[5];
	__u8 payload[];
};

_Static_assert(sizeof(struct record) == 40, "record header is 40 bytes");
_Static_assert(__builtin_offsetof(struct record, payload) == 40, "payload follows the header");

// address is a local address and port.
struct address {
	__u8 addr[16]; // IPv4 as ::ffff:a.b.c.d
	__u16 port;    // host byte order
	__u16 pad;     // 0
};

_Static_assert(sizeof(struct address) == 20, "no hidden padding in a map key");

// station is a MAC address at which this host receives frames with these VLAN tags on this interface.
struct station {
	__u32 interface; // its index
	__u32 tags;      // see parse in parse.h
	__u64 mac;       // the 6 bytes as they are in the frame, then two bytes 0
};

_Static_assert(sizeof(struct station) == 16, "no hidden padding");

// home is where a local address lives, if that is a VLAN: frames with these tags on this interface.
struct home {
	__u32 interface;
	__u32 tags;
	__u8 addr[16]; // IPv4 as ::ffff:a.b.c.d
};

_Static_assert(sizeof(struct home) == 24, "no hidden padding in a map key");

// named_address is a listen address that is not a wildcard.
struct named_address {
	struct address at;
	__u32 listener; // its index
};

// allow_key is a prefix of source addresses. The family comes first, so that ::/0 doesn't cover IPv4.
struct allow_key {
	__u32 bits;    // number of bits of family and addr that count: 32 for the family, plus those of the address
	__u32 family;  // 4 or 6
	__u8 addr[16]; // IPv4 in the first 4 bytes
};

_Static_assert(sizeof(struct allow_key) == 24, "no hidden padding in a map key");

// source is a source address without its port, IPv4 as ::ffff:a.b.c.d.
struct source {
	__u8 addr[16];
};

// bucket is the token bucket of a source. It stores a time instead of tokens: when the source would have sent everything at
// exactly its rate. The further this is ahead of now, the emptier the bucket. So one word is enough to change it.
struct bucket {
	__u64 ahead;   // CLOCK_MONOTONIC, nanoseconds
	__u64 refused; // datagrams
};

// counters are the frames by verdict. Row 0 of the map counts frames without a known listener. Row 1 + i counts those
// to listener i.
struct counters {
	__u64 frames[VERDICTS];
};

// sleeper is the flag of one ring's consumer, alone on its cache line. The consumer sets it before it looks at the
// ring a last time and sleeps. The program clears it when it wakes the consumer (../doc.go).
//
// The flag is AWAKE, ASLEEP (wake it at the next record), or of a consumer that naps: wake it when the producer's position
// has reached this one. That is in units of WAKE_SLOT, modulo 2^32, and never AWAKE or ASLEEP. It is one word, so that no
// processor sees a part of it.
struct sleeper {
	__u32 asleep;
	__u8 pad[60];
};

_Static_assert(sizeof(struct sleeper) == 64, "one cache line");

#endif
