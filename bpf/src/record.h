// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The contract with user space: what lies in a ring, how frames are judged, what the maps hold. Go gets
// these types generated from the compiled object (../gen.go); ../record_test.go compares the layout.

#ifndef BINREPD_RECORD_H
#define BINREPD_RECORD_H

#include <linux/types.h>

// Sizes that user space needs as well.
enum limit {
	MAX_RINGS = 16,
	MAX_LISTENERS = 16,
	// Wildcard listeners are expanded to the addresses of the host.
	MAX_ADDRESSES = 4096,
	// Bytes of the key that the steering hash looks at (datagram.MaxSteeringKey).
	MAX_KEY = 256,
	// The shortest packet that any receiver of BIN looks at.
	MIN_PAYLOAD = 18,
	// The longest payload that goes into a ring: what fits an MTU of 9216, the largest that is common, and a bit.
	MAX_PAYLOAD = 9232,
	// The same with all headers, as it lies in a ring.
	MAX_SLOT = 9280,
	// What a wake-up takes of a ring: a cache line, as all records are whole ones.
	WAKE_SLOT = 64,
	// The ring's own header of a record.
	SLOT_HEADER = 8,
	// Prefixes in the list of those who may speak.
	MAX_ALLOWED = 1024,
	// Sources that a count of refusals is kept of, and sources that have a bucket.
	MAX_DENIED = 1024,
	MAX_BUCKETS = 16384,
};

// verdict is what the program made of a frame: every frame gets exactly one. VERDICT_STEERED, VERDICT_DENIED and
// VERDICT_RATE_LIMITED end the frame, all others leave it to the kernel. APPEND ONLY: the numbers index the counters. Names: ../verdict.go.
enum verdict {
	VERDICT_STEERED,      // the datagram is in a ring, the frame ends here
	VERDICT_OTHER,        // no UDP datagram to a listen address: the host's other traffic
	VERDICT_ENCAPSULATED, // a third VLAN tag, MPLS, PPPoE, a tunnel
	VERDICT_FRAGMENT,     // an IP fragment; the listener is known for first fragments of IPv4 only
	VERDICT_OPTIONS,      // IPv4 options; IPv6 extension headers, of which the listener is not known
	VERDICT_BAD_LENGTH,   // a header or a length doesn't fit the frame
	VERDICT_BAD_HEADER,   // IP version, header length or header checksum is wrong
	VERDICT_MARTIAN,      // an address that can't come in here, such as 127.0.0.1 from outside
	VERDICT_NOT_BIN,      // to a listen address, but not a BIN packet
	VERDICT_TOO_LONG,     // a BIN packet longer than MAX_PAYLOAD bytes
	VERDICT_RING_FULL,    // the ring had no room
	VERDICT_FAULT,        // a helper refused what it can't refuse; never seen
	VERDICT_DENIED,       // a BIN packet from a source that isn't on the list of those who may speak
	VERDICT_RATE_LIMITED, // a BIN packet from a source that has sent more than its rate
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

// named_address is a listen address that is no wildcard.
struct named_address {
	struct address at;
	__u32 listener; // its index
};

// allow_key is a prefix of source addresses. The family comes first, so that ::/0 doesn't cover IPv4.
struct allow_key {
	__u32 bits;    // of family and addr that count: 32 for the family, then those of the address
	__u32 family;  // 4 or 6
	__u8 addr[16]; // IPv4 in the first 4 bytes
};

_Static_assert(sizeof(struct allow_key) == 24, "no hidden padding in a map key");

// source is a source address without its port, IPv4 as ::ffff:a.b.c.d.
struct source {
	__u8 addr[16];
};

// bucket is the token bucket of a source. It holds no tokens but a time: that at which the source would have sent all that it has
// sent at exactly its rate. How far this is ahead of now is how full the bucket isn't. So it changes by one word.
struct bucket {
	__u64 ahead;   // CLOCK_MONOTONIC, nanoseconds
	__u64 refused; // datagrams
};

// counters are the frames by verdict. Row 0 of the map counts frames of which the listener is not known, row 1 + i
// those to listener i.
struct counters {
	__u64 frames[VERDICTS];
};

// sleeper is the flag of one ring's consumer, alone on its cache line. The consumer sets it before it looks at
// the ring a last time and sleeps; the program clears it when it wakes the consumer (../doc.go).
struct sleeper {
	__u32 asleep;
	__u8 pad[60];
};

_Static_assert(sizeof(struct sleeper) == 64, "one cache line");

#endif
