// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The XDP program. It takes BIN datagrams to the listen addresses from the frame straight into a ring buffer, and leaves
// all others to the kernel. parse.h recognizes them, admit.h has the list of sources and the rate limit, steer.h chooses
// the ring, and record.h defines what user space finds there.

#include "record.h"
#include "maps.h"
#include "steer.h"
#include "parse.h"
#include "admit.h"

// Types that no map uses. They are named here so that Go gets them generated.
const struct record *export_record __attribute__((unused));
const enum verdict *export_verdict __attribute__((unused));
const enum limit *export_limit __attribute__((unused));

static __always_inline void count(__u32 row, enum verdict verdict)
{
	struct counters *c = bpf_map_lookup_elem(&verdicts, &row);

	if (c && (__u32)verdict < VERDICTS)
		c->frames[verdict]++; // per CPU, and XDP isn't entered twice on one
}

// due reports whether a consumer with this flag is to be woken now. A napping consumer wakes by itself soon, so it is woken
// only once the producer's position has reached the one in the flag (record.h).
static __always_inline int due(void *ring, __u32 asleep)
{
	if (asleep == AWAKE || asleep == ASLEEP)
		return asleep == ASLEEP;
	return (__s32)((__u32)(bpf_ringbuf_query(ring, BPF_RB_PROD_POS) / WAKE_SLOT) - asleep) >= 0;
}

// wake wakes the consumer of a ring if it has said that it sleeps. It runs after the record is submitted, which is a full
// memory barrier. So either this function sees the flag, or the consumer, which sets it and then looks, sees the record.
//
// Only a record can wake, so a small one is made and discarded. It is reserved before the flag is taken. Until one processor
// has reserved it, every processor can have put only one record into the ring. The consumer left room for these when it fell
// asleep: as much as the smallest allowed ring has when it is empty (../ringsize.go). So the first processor that tries
// finds room. A processor that can't reserve leaves the flag to the others.
static __always_inline void wake(void *ring, __u32 index)
{
	struct sleeper *s = bpf_map_lookup_elem(&sleepers, &index);
	void *call;

	if (!s || !due(ring, *(volatile __u32 *)&s->asleep))
		return;
	call = bpf_ringbuf_reserve(ring, WAKE_SLOT - SLOT_HEADER, 0);
	if (!call)
		return;
	if (__sync_lock_test_and_set(&s->asleep, AWAKE))
		bpf_ringbuf_discard(call, BPF_RB_FORCE_WAKEUP);
	else
		bpf_ringbuf_discard(call, BPF_RB_NO_WAKEUP);
}

// put makes a record of the size class whose payload can have room bytes. The verifier of kernels before 5.19 requires
// that the size of a record is a constant.
static __always_inline enum verdict put(struct xdp_md *ctx, const struct datagram *d, __u32 hash, void *ring, const __u32 room)
{
	struct record *r = bpf_ringbuf_reserve(ring, sizeof(*r) + room, 0);
	__u32 length = d->length;

	if (!r)
		return VERDICT_RING_FULL;
	r->received = bpf_ktime_get_ns();
	r->length = length;
	r->hash = hash;
	__builtin_memcpy(r->addr, d->from.addr, sizeof(r->addr));
	r->port = d->from.port;
	r->listener = d->row - 1;
	__builtin_memset(r->pad, 0, sizeof(r->pad));
	if (length < MIN_PAYLOAD || length > room || bpf_xdp_load_bytes(ctx, d->payload, r->payload, length)) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return VERDICT_FAULT;
	}
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	return VERDICT_STEERED;
}

// The number of bytes left for the payload in a record that takes so many bytes of the ring.
#define ROOM(bytes) ((bytes) - SLOT_HEADER - sizeof(struct record))

_Static_assert(ROOM(MAX_SLOT) == MAX_PAYLOAD, "the largest class is for the largest payload");

// put_sized picks the smallest size class that the payload fits into. The classes are whole cache lines. They are closer
// together in the range of dialogs: most packets of real senders have 300 to 900 bytes.
static __always_inline enum verdict put_sized(struct xdp_md *ctx, const struct datagram *d, __u32 hash, void *ring)
{
#define CLASS(bytes) \
	if (d->length <= ROOM(bytes)) \
		return put(ctx, d, hash, ring, ROOM(bytes))
	CLASS(128);
	CLASS(192);
	CLASS(256);
	CLASS(320);
	CLASS(384);
	CLASS(448);
	CLASS(512);
	CLASS(640);
	CLASS(768);
	CLASS(1024);
	CLASS(1280);
	CLASS(1536);
	CLASS(2304);
	CLASS(4096);
	CLASS(6144);
	CLASS(MAX_SLOT);
#undef CLASS
	return VERDICT_TOO_LONG;
}

// steer puts the datagram into the ring that its hash chooses.
static __always_inline enum verdict steer(struct xdp_md *ctx, const struct datagram *d)
{
	__u64 hash = hash_payload(ctx, d->payload, d->length);
	enum verdict verdict;
	__u32 index;
	void *ring;

	if (hash == NO_KEY)
		hash = hash_source(&d->from);
	index = (__u64)(__u32)hash * ring_count >> 32; // datagram.Spread
	ring = bpf_map_lookup_elem(&rings, &index);
	if (!ring)
		return VERDICT_FAULT;
	verdict = put_sized(ctx, d, hash, ring);
	if (verdict == VERDICT_STEERED)
		wake(ring, index);
	return verdict;
}

SEC("xdp.frags")
int binrepd(struct xdp_md *ctx)
{
	struct datagram d = { .row = NO_LISTENER };
	enum verdict verdict = parse(ctx, &d);

	if (verdict == GO_ON)
		verdict = admit(ctx, &d);
	if (verdict == GO_ON)
		verdict = steer(ctx, &d);
	count(d.row, verdict);
	switch (verdict) {
	case VERDICT_STEERED:
	case VERDICT_DENIED:
	case VERDICT_RATE_LIMITED:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

char _license[] SEC("license") = "GPL";
