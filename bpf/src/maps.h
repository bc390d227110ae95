// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The maps, and the constants that user space sets before the program is loaded.

#ifndef BINREPD_MAPS_H
#define BINREPD_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "record.h"

// Steering key: random at each start.
const volatile __u64 steering_k0 = 0;
const volatile __u64 steering_k1 = 0;

// How many of the rings are in use, at least 1.
const volatile __u32 ring_count = 1;

// One bit for each UDP port (host byte order) that has a listener. It rejects most other traffic before any look-up of an
// address.
const volatile __u64 listen_ports[65536 / 64] = {};

// The listen addresses that are not wildcards, and their number. Comparing with a few of them costs less than a look-up in
// a map. The map is used only if there are wildcards.
const volatile struct named_address named[MAX_LISTENERS] = {};
const volatile __u32 named_count = 0;
const volatile __u32 wildcard_count = 0;

// The nanoseconds that each datagram of a source costs, and how many datagrams it may be ahead of its rate. 0: no
// limit.
const volatile __u64 rate_interval = 0;
const volatile __u64 rate_burst = 0;

// Nonzero if there is a list of allowed sources. It changes while the program runs, so it is no constant.
volatile __u32 guarded;

// The stations, and their number. 0 lets every MAC address and VLAN pass. User space rewrites them while the program runs. A
// frame that meets a half-written entry goes to the kernel. The number is raised after the entries are written.
volatile struct station stations[MAX_STATIONS];
volatile __u32 station_count;

// Zero if every interface has the program in native mode. Only in generic mode the kernel may have merged datagrams.
volatile __u32 may_merge = 1;

// One ring buffer for each consumer.
struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18); // user space sets the real size
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_RINGS);
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_RINGS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sleeper);
} sleepers SEC(".maps");

// What the wildcards currently expand to: local address and port to the index of the listener.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ADDRESSES);
	__type(key, struct address);
	__type(value, __u8);
} addresses SEC(".maps");

// The VLANs on which listen addresses live.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_HOMES);
	__type(key, struct home);
	__type(value, __u8);
} homes SEC(".maps");

// The addresses of this host. None of them is the source of a frame that comes from outside.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ADDRESSES);
	__type(key, struct source);
	__type(value, __u8);
} own SEC(".maps");

// The allowed sources, used while guarded is set.
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MAX_ALLOWED);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct allow_key);
	__type(value, __u8);
} allowed SEC(".maps");

// How many datagrams of each source were denied. Addresses can be forged, so only the sources denied last are kept.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, MAX_DENIED);
	__type(key, struct source);
	__type(value, __u64);
} denied SEC(".maps");

// The buckets of the sources that sent last.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_BUCKETS);
	__type(key, struct source);
	__type(value, struct bucket);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 + MAX_LISTENERS);
	__type(key, __u32);
	__type(value, struct counters);
} verdicts SEC(".maps");

// Room for a steering key that can't be hashed in place, because it is in a fragment of the frame or is the source.
// It has eight bytes more than the key, so that the tail of the key can be loaded as one word.
struct scratch {
	__u8 key[MAX_KEY + 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

// Room for a payload that is searched for a second packet, and for the last step of the search.
struct copied {
	__u8 payload[MAX_PAYLOAD + 64 + 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct copied);
} copies SEC(".maps");

#endif
