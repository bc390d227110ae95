// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The search for merged datagrams. In generic mode, the kernel may have merged datagrams of one sender into one that is
// as long as all of them. It gives no sign of that, except that the marker of a packet comes up a second time.

#ifndef BINREPD_MERGED_H
#define BINREPD_MERGED_H

#include "maps.h"

// Bytes that one step of a search looks at.
#define STEP 64

struct search {
	__u32 length; // of the payload in copies
	__u32 found;
};

// search_step looks for the marker of a packet that begins in the STEP bytes at index * STEP. It returns 1 to end the
// search.
static long search_step(__u32 index, void *context)
{
	const __u64 ones = 0x0101010101010101, marks = ones * 'P';
	struct search *s = context;
	__u32 zero = 0, at = index * STEP, i, k;
	struct copied *room = bpf_map_lookup_elem(&copies, &zero);
	__u8 *p;

	barrier_var(at); // the compiler must not forget the bound that the verifier has seen
	if (!room || at >= s->length || at > MAX_PAYLOAD)
		return 1;
	p = room->payload + at;
#pragma unroll
	for (i = 0; i < STEP; i += 8) {
		__u64 word = *(__u64 *)(p + i) ^ marks;

		if (((word - ones) & ~word & (ones << 7)) == 0)
			continue; // there is no P in it
#pragma unroll
		for (k = 0; k < 8; k++) {
			if (*(__u32 *)(p + i + k) != *(__u32 *)"P4CK")
				continue;
			// What an earlier payload left behind the end doesn't count.
			if (at + i + k != 0 && at + i + k + 4 <= s->length) {
				s->found = 1;
				return 1;
			}
		}
	}
	return 0;
}

// is_merged searches for a second marker. A packet that has the marker in one of its strings goes to the kernel, too;
// nothing is lost by that. It is a global function, so that the verifier checks it once.
__noinline __u32 is_merged(struct xdp_md *ctx, __u32 payload, __u32 length)
{
	struct search s = { .length = length };
	struct copied *room;
	__u32 zero = 0;

	if (length < MIN_PAYLOAD || length > MAX_PAYLOAD)
		return 0;
	room = bpf_map_lookup_elem(&copies, &zero);
	if (!room || bpf_xdp_load_bytes(ctx, payload, room->payload, length))
		return 0;
	bpf_loop(MAX_PAYLOAD / STEP + 1, search_step, &s, 0);
	return s.found;
}

#endif
