// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The steering hash: SipHash-1-3 of the steering key, its halves folded to 32 bits. User space computes the same
// in userspace/in/packets/steer.go, and a test compares the two. Source of the function: Aumasson and Bernstein,
// "SipHash: a fast short-input PRF", 2012.

#ifndef BINREPD_STEER_H
#define BINREPD_STEER_H

#include <stdbool.h>

#include "maps.h"

struct sip {
	__u64 v0, v1, v2, v3;
};

static __always_inline __u64 rotate(__u64 x, int n)
{
	return x << n | x >> (64 - n);
}

static __always_inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static __always_inline void sip_start(struct sip *s)
{
	s->v0 = steering_k0 ^ 0x736f6d6570736575;
	s->v1 = steering_k1 ^ 0x646f72616e646f6d;
	s->v2 = steering_k0 ^ 0x6c7967656e657261;
	s->v3 = steering_k1 ^ 0x7465646279746573;
}

static __always_inline void sip_word(struct sip *s, __u64 m)
{
	s->v3 ^= m;
	sip_round(s);
	s->v0 ^= m;
}

// sip_end takes the word that holds the last length % 8 bytes. It ignores the bytes after them.
static __always_inline __u32 sip_end(struct sip *s, __u64 tail, __u32 length)
{
	__u64 h;

	tail &= (1ull << (length % 8 * 8)) - 1;
	sip_word(s, tail | (__u64)length << 56);
	s->v2 ^= 0xff;
	sip_round(s);
	sip_round(s);
	sip_round(s);
	h = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
	return (__u32)h ^ (__u32)(h >> 32);
}

// Offsets in a packet of generation 1: the length of the capability's name, the name, and the first string after the command
// of "dialog" and of "ul". Lengths have 4 bytes.
#define NAME_LENGTH 8
#define NAME 12
#define DIALOG_FIRST (NAME + 6 + 4)
#define UL_FIRST (NAME + 2 + 4)

// Offsets in a packet of generation 2: the length of the capability's name, which is at the same place, and the first string
// after the type of "dialog-dlg-repl" and of "usrloc-contact-repl". Lengths have 2 bytes. Those of the name are the upper half
// of the length in generation 1. There they are 0, because no name is that long. So no packet is of both generations.
#define NAME2_LENGTH 10
#define DIALOGS_FIRST (NAME + 15 + 4)
#define CONTACTS_FIRST (NAME + 19 + 4)

// NO_KEY says that the payload has no steering key. Then the source decides.
#define NO_KEY (1ull << 32)

// load_length loads the length of the string at offset at of the payload. prefix is the size of this length, 4 or 2 bytes. It
// returns false if the string is not within the payload.
static __always_inline bool load_length(struct xdp_md *ctx, __u32 payload, __u32 length, __u32 at, __u32 prefix, __u32 *n)
{
	*n = 0;
	if (at + prefix > length || bpf_xdp_load_bytes(ctx, payload + at, n, prefix))
		return false;
	return *n <= length - at - prefix;
}

// load_string copies the string at offset at of the payload to room, at most MAX_KEY bytes. It returns how many bytes it
// copied. It returns 0 for an empty string or one that is not within the payload.
static __always_inline __u32 load_string(struct xdp_md *ctx, __u32 payload, __u32 length, __u32 at, __u32 prefix, struct scratch *room)
{
	__u32 n;

	if (!load_length(ctx, payload, length, at, prefix, &n))
		return 0;
	if (n > MAX_KEY)
		n = MAX_KEY;
	barrier_var(n); // the compiler must not forget the bound that the verifier has seen
	if (n == 0 || n > MAX_KEY)
		return 0;
	return bpf_xdp_load_bytes(ctx, payload + at + prefix, room->key, n) ? 0 : n;
}

// load_second is load_string for the string behind the one at offset at.
static __always_inline __u32 load_second(struct xdp_md *ctx, __u32 payload, __u32 length, __u32 at, __u32 prefix, struct scratch *room)
{
	__u32 n;

	if (!load_length(ctx, payload, length, at, prefix, &n))
		return 0;
	return load_string(ctx, payload, length, at + prefix + n, prefix, room);
}

// load_key2 is load_key for generation 2. n is the length of the name.
static __always_inline __u32 load_key2(struct xdp_md *ctx, __u32 payload, __u32 length, __u32 n, struct scratch *room)
{
	char name[20] = {};

	if (n == 15) {
		if (length < DIALOGS_FIRST || bpf_xdp_load_bytes(ctx, payload + NAME, name, 15) ||
		    __builtin_memcmp(name, "dialog-dlg-repl", 15))
			return 0;
		return load_string(ctx, payload, length, DIALOGS_FIRST, 2, room);
	}
	if (n != 19 || length < CONTACTS_FIRST || bpf_xdp_load_bytes(ctx, payload + NAME, name, 19) ||
	    __builtin_memcmp(name, "usrloc-contact-repl", 19))
		return 0;
	return load_second(ctx, payload, length, CONTACTS_FIRST, 2, room);
}

// load_key is the slow path: it copies the key out of the frame, wherever it lies. It returns the same as load_string.
static __always_inline __u32 load_key(struct xdp_md *ctx, __u32 payload, __u32 length, struct scratch *room)
{
	struct {
		__u32 length;
		char name[8];
	} capability = {};

	if (length < NAME + 6 || bpf_xdp_load_bytes(ctx, payload + NAME_LENGTH, &capability, 4 + 6))
		return 0;
	if (capability.length >> 16)
		return load_key2(ctx, payload, length, capability.length >> 16, room);
	if (capability.length == 6 && !__builtin_memcmp(capability.name, "dialog", 6))
		return load_string(ctx, payload, length, DIALOG_FIRST, 4, room);
	if (capability.length != 2 || capability.name[0] != 'u' || capability.name[1] != 'l')
		return 0;
	return load_second(ctx, payload, length, UL_FIRST, 4, room);
}

static __always_inline __u32 hash_scratch(const struct scratch *room, __u32 length)
{
	struct sip s;
	__u32 i;

	sip_start(&s);
	for (i = 0; i < MAX_KEY / 8; i++) {
		if (i >= length / 8)
			break;
		sip_word(&s, *(const __u64 *)&room->key[i * 8]);
	}
	return sip_end(&s, *(const __u64 *)&room->key[i * 8], length);
}

static __always_inline struct scratch *scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

// is_dialog recognizes capability "dialog" of generation 1. DIALOG_FIRST bytes at p can be read.
static __always_inline bool is_dialog(const __u8 *p)
{
	return *(__u32 *)(p + NAME_LENGTH) == 6 && *(__u32 *)(p + NAME) == *(__u32 *)"dial" &&
	       *(__u16 *)(p + NAME + 4) == *(__u16 *)"og";
}

// is_dialogs recognizes capability "dialog-dlg-repl" of generation 2. DIALOGS_FIRST bytes at p can be read.
static __always_inline bool is_dialogs(const __u8 *p)
{
	return *(__u16 *)(p + NAME2_LENGTH) == 15 && *(__u64 *)(p + NAME) == *(__u64 *)"dialog-d" &&
	       *(__u64 *)(p + NAME + 7) == *(__u64 *)"dlg-repl";
}

// hash_payload returns the steering hash of length bytes of payload at that offset of the frame, or NO_KEY. It is a global
// function, so that the verifier checks it once and not once for every path that leads here.
__noinline __u64 hash_payload(struct xdp_md *ctx, __u32 payload, __u32 length)
{
	void *end = (void *)(long)ctx->data_end;
	struct scratch *room;
	struct sip s;
	__u32 n, at, i;
	__u8 *p;

	if (payload > 512 || length > MAX_PAYLOAD) // never: tells the verifier
		return NO_KEY;
	barrier_var(payload); // the compiler must not forget the bound that the verifier has seen
	// The fast path: a Call-ID in the linear part of the frame is hashed in place.
	p = (void *)(long)ctx->data + payload;
	if (length < DIALOG_FIRST + 4 || (void *)p + DIALOG_FIRST + 4 > end)
		goto slow;
	if (is_dialog(p)) {
		n = *(__u32 *)(p + DIALOG_FIRST);
		at = DIALOG_FIRST + 4;
	} else {
		if (length < DIALOGS_FIRST + 2 || (void *)p + DIALOGS_FIRST + 2 > end || !is_dialogs(p))
			goto slow;
		n = *(__u16 *)(p + DIALOGS_FIRST);
		at = DIALOGS_FIRST + 2;
	}
	if (n > length - at || n == 0)
		return NO_KEY;
	if (n > MAX_KEY)
		n = MAX_KEY;
	p += at;
	sip_start(&s);
	for (i = 0; i < MAX_KEY / 8; i++) {
		if (i >= n / 8)
			break;
		if ((void *)p + 8 > end)
			goto slow;
		sip_word(&s, *(__u64 *)p);
		p += 8;
	}
	if ((void *)p + 8 > end) // the word would reach past the frame, though the key doesn't
		goto slow;
	return sip_end(&s, *(__u64 *)p, n);

slow:
	room = scratch();
	if (!room)
		return NO_KEY;
	n = load_key(ctx, payload, length, room);
	if (n == 0)
		return NO_KEY;
	if (n > MAX_KEY)
		return NO_KEY;
	return hash_scratch(room, n);
}

// hash_source returns the steering hash of a source.
static __always_inline __u32 hash_source(const struct address *from)
{
	struct scratch *room = scratch();

	if (!room)
		return 0;
	__builtin_memcpy(room->key, from->addr, sizeof(from->addr));
	room->key[16] = from->port >> 8;
	room->key[17] = from->port & 0xff;
	return hash_scratch(room, 18);
}

#endif
