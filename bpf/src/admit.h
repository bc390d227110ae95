// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// Admission: the list of allowed sources and the rate limit. Only BIN packets to a listener come here. Package gate
// applies the same rules to what comes through the sockets.

#ifndef BINREPD_ADMIT_H
#define BINREPD_ADMIT_H

#include <stdbool.h>

#include "maps.h"

static __always_inline bool may_speak(const struct source *from)
{
	const __u32 *word = (const __u32 *)from->addr;
	struct allow_key key = { .bits = 32 + 128 };

	if ((word[0] | word[1]) == 0 && word[2] == bpf_htonl(0xffff)) {
		key.family = 4;
		__builtin_memcpy(key.addr, from->addr + 12, 4);
	} else {
		key.family = 6;
		__builtin_memcpy(key.addr, from->addr, sizeof(key.addr));
	}
	return bpf_map_lookup_elem(&allowed, &key);
}

static __always_inline void count_denied(const struct source *from)
{
	__u64 *n = bpf_map_lookup_elem(&denied, from), one = 1;

	if (n)
		(*n)++; // per CPU
	else
		bpf_map_update_elem(&denied, from, &one, BPF_ANY); // no room to count: the verdict is counted all the same
}

// within_rate takes one datagram's worth from the bucket of a source, if there is enough.
static __always_inline bool within_rate(const struct source *from)
{
	__u64 now = bpf_ktime_get_ns(), ahead, next;
	struct bucket *b = bpf_map_lookup_elem(&buckets, from);
	struct bucket first = { .ahead = now + rate_interval };
	int i;

	if (!b) {
		bpf_map_update_elem(&buckets, from, &first, BPF_NOEXIST);
		return true;
	}
#pragma unroll
	for (i = 0; i < 3; i++) {
		ahead = *(volatile __u64 *)&b->ahead;
		next = (ahead > now ? ahead : now) + rate_interval;
		if (next - now > rate_burst * rate_interval) {
			__sync_fetch_and_add(&b->refused, 1);
			return false;
		}
		if (__sync_val_compare_and_swap(&b->ahead, ahead, next) == ahead)
			return true;
	}
	return true; // other processors were faster three times: it goes for free
}

// admit returns GO_ON, or the verdict that ends the datagram here or leaves it to the kernel: a frame from outside that has an
// address of this host as its source is forged.
static __always_inline enum verdict admit(const struct xdp_md *ctx, const struct datagram *d)
{
	struct source from;

	__builtin_memcpy(from.addr, d->from.addr, sizeof(from.addr));
	if (ctx->ingress_ifindex != LOOPBACK && bpf_map_lookup_elem(&own, &from))
		return VERDICT_MARTIAN;
	if (!guarded && !rate_interval)
		return GO_ON;
	if (guarded && !may_speak(&from)) {
		count_denied(&from);
		return VERDICT_DENIED;
	}
	if (rate_interval && !within_rate(&from))
		return VERDICT_RATE_LIMITED;
	return GO_ON;
}

#endif
