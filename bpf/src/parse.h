// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// From the frame to the datagram: Ethernet, up to two VLAN tags, IPv4 or IPv6, UDP. The rules apply in the order of the
// text. ../model_test.go implements them a second time in Go. A frame in doubt is left to the kernel.

#ifndef BINREPD_PARSE_H
#define BINREPD_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "maps.h"
#include "merged.h"

// Interface index of lo, the same in every network namespace.
#define LOOPBACK 1

// NO_LISTENER is the row of the counters for frames without a known listener.
#define NO_LISTENER 0

// GO_ON is not a verdict: so far the datagram is one to take.
#define GO_ON VERDICTS

struct datagram {
	__u32 payload;       // offset in the frame
	__u32 length;        // of the payload
	__u32 row;           // of the counters: 1 + listener, or NO_LISTENER
	__u32 tags;          // of the VLAN: see parse
	struct address from;
};

struct vlan {
	__be16 tag;
	__be16 next;
};

static __always_inline int is_tag(__be16 type)
{
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

// Protocol numbers of tunnels in an IP packet.
static __always_inline enum verdict other_protocol(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
	case IPPROTO_GRE:
	case IPPROTO_ESP:
	case IPPROTO_AH:
	case 137: // MPLS-in-IP
		return VERDICT_ENCAPSULATED;
	}
	return VERDICT_OTHER;
}

static __always_inline enum verdict other_type(__be16 type)
{
	switch (bpf_ntohs(type)) {
	case ETH_P_8021Q: // a third tag
	case ETH_P_8021AD:
	case ETH_P_QINQ1:
	case ETH_P_MPLS_UC:
	case ETH_P_MPLS_MC:
	case ETH_P_PPP_SES:
		return VERDICT_ENCAPSULATED;
	}
	return VERDICT_OTHER;
}

static __always_inline bool same(const volatile struct address *a, const struct address *b)
{
	const volatile __u32 *x = (const volatile __u32 *)a->addr;
	const __u32 *y = (const __u32 *)b->addr;

	// The word that differs most often comes first.
	return x[3] == y[3] && a->port == b->port && x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

// find_listener sets row to that of the listener at to.
static __always_inline bool find_listener(const struct address *to, __u32 *row)
{
	__u8 *listener;
	__u32 i;

	for (i = 0; i < MAX_LISTENERS; i++) {
		if (i >= named_count)
			break;
		if (same(&named[i].at, to)) {
			*row = 1 + named[i].listener;
			return true;
		}
	}
	if (wildcard_count == 0)
		return false;
	listener = bpf_map_lookup_elem(&addresses, to);
	if (!listener)
		return false;
	*row = 1 + *listener;
	return true;
}

// is_station reports whether this host has the MAC address on the interface and VLAN where the frame came in. It is a global
// function, so that the verifier checks it once.
__noinline __u32 is_station(struct xdp_md *ctx, __u64 mac, __u32 tags)
{
	__u32 i, count = station_count;

	for (i = 0; i < MAX_STATIONS; i++) {
		if (i >= count)
			break;
		if (stations[i].mac == mac && stations[i].tags == tags && stations[i].interface == ctx->ingress_ifindex)
			return 1;
	}
	return 0;
}

// at_home checks that the frame came to this host and over a network on which the address lives, as the kernel would: it
// drops frames to another MAC address and with the tag of a VLAN that it doesn't know.
static __always_inline enum verdict at_home(struct xdp_md *ctx, const struct ethhdr *eth, __u32 tags, const struct address *to)
{
	__u64 mac = 0;

	if (station_count == 0)
		return GO_ON;
	if (tags) {
		struct home key = { .interface = ctx->ingress_ifindex, .tags = tags };

		__builtin_memcpy(key.addr, to->addr, sizeof(key.addr));
		if (!bpf_map_lookup_elem(&homes, &key))
			return VERDICT_OTHER_VLAN;
	}
	if (ctx->ingress_ifindex == LOOPBACK)
		return GO_ON;
	__builtin_memcpy(&mac, eth->h_dest, sizeof(eth->h_dest));
	return is_station(ctx, mac, tags) ? GO_ON : VERDICT_OTHER_MAC;
}

static __always_inline bool is_port(__u16 port)
{
	return listen_ports[port / 64] >> (port % 64) & 1;
}

static __always_inline void map_ipv4(__u8 addr[16], __be32 ip)
{
	__u32 *word = (__u32 *)addr;

	word[0] = 0;
	word[1] = 0;
	word[2] = bpf_htonl(0xffff);
	word[3] = ip;
}

// The checksum of a header of 20 bytes is correct if the sum of all its words is all ones.
static __always_inline bool checksum_right(const struct iphdr *ip)
{
	const __u32 *word = (const __u32 *)ip;
	__u64 sum = (__u64)word[0] + word[1] + word[2] + word[3] + word[4];

	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

// Loopback addresses belong on lo. Addresses in 0/8 and 224/3 are never valid sources.
static __always_inline bool martian4(const struct xdp_md *ctx, __be32 source, __be32 destination)
{
	__u32 from = bpf_ntohl(source) >> 24, to = bpf_ntohl(destination) >> 24;

	if (from == 0 || from >= 224)
		return true;
	return (from == 127 || to == 127) && ctx->ingress_ifindex != LOOPBACK;
}

// is_mapped matches ::ffff:0:0/96. This program would take such addresses for IPv4 addresses.
static __always_inline bool is_mapped(const struct in6_addr *a)
{
	return (a->s6_addr32[0] | a->s6_addr32[1]) == 0 && a->s6_addr32[2] == bpf_htonl(0xffff);
}

// is_low matches :: and ::1.
static __always_inline bool is_low(const struct in6_addr *a)
{
	return (a->s6_addr32[0] | a->s6_addr32[1] | a->s6_addr32[2]) == 0 && (a->s6_addr32[3] | bpf_htonl(1)) == bpf_htonl(1);
}

static __always_inline bool martian6(const struct xdp_md *ctx, const struct ipv6hdr *ip)
{
	if (ip->saddr.s6_addr[0] == 0xff || is_mapped(&ip->saddr) || is_mapped(&ip->daddr))
		return true;
	return (is_low(&ip->saddr) || is_low(&ip->daddr)) && ctx->ingress_ifindex != LOOPBACK;
}

// measure sets payload and length from the UDP header at offset l4. ip_end is the end of the packet by its IP header.
// Padding may follow it. There may also be bytes between the end of UDP and that of IP (RFC 9868); the kernel ignores them.
static __always_inline enum verdict measure(struct xdp_md *ctx, struct datagram *d, const struct udphdr *udp, __u32 l4, __u32 ip_end)
{
	__u32 length = bpf_ntohs(udp->len);

	if (length < sizeof(*udp) || l4 + length > ip_end || ip_end > bpf_xdp_get_buff_len(ctx))
		return VERDICT_BAD_LENGTH;
	d->payload = l4 + sizeof(*udp);
	d->length = length - sizeof(*udp);
	return GO_ON;
}

static __always_inline enum verdict parse_ipv4(struct xdp_md *ctx, struct datagram *d, void *data, __u32 l3, void *end)
{
	struct iphdr *ip = data + l3;
	struct address to = {};
	enum verdict verdict;
	struct udphdr *udp;
	__u32 header, l4;

	if ((void *)(ip + 1) > end)
		return VERDICT_BAD_LENGTH;
	if (ip->version != 4 || ip->ihl < 5)
		return VERDICT_BAD_HEADER;
	if (ip->protocol != IPPROTO_UDP)
		return other_protocol(ip->protocol);
	if (ip->frag_off & bpf_htons(0x1fff))
		return VERDICT_FRAGMENT;
	header = ip->ihl * 4;
	l4 = l3 + header;
	udp = data + l4;
	if ((void *)(udp + 1) > end)
		return VERDICT_BAD_LENGTH;
	to.port = bpf_ntohs(udp->dest);
	if (!is_port(to.port))
		return VERDICT_OTHER;
	map_ipv4(to.addr, ip->daddr);
	if (!find_listener(&to, &d->row))
		return VERDICT_OTHER;
	verdict = at_home(ctx, data, d->tags, &to);
	if (verdict != GO_ON)
		return verdict;
	if (ip->frag_off & bpf_htons(0x2000))
		return VERDICT_FRAGMENT;
	if (header != sizeof(*ip))
		return VERDICT_OPTIONS;
	if (!checksum_right(ip))
		return VERDICT_BAD_HEADER;
	if (martian4(ctx, ip->saddr, ip->daddr))
		return VERDICT_MARTIAN;
	map_ipv4(d->from.addr, ip->saddr);
	d->from.port = bpf_ntohs(udp->source);
	return measure(ctx, d, udp, l4, l3 + bpf_ntohs(ip->tot_len));
}

static __always_inline enum verdict parse_ipv6(struct xdp_md *ctx, struct datagram *d, void *data, __u32 l3, void *end)
{
	__u32 l4 = l3 + sizeof(struct ipv6hdr);
	struct ipv6hdr *ip = data + l3;
	struct udphdr *udp = data + l4;
	struct address to = {};
	enum verdict verdict;

	if ((void *)(ip + 1) > end)
		return VERDICT_BAD_LENGTH;
	if (ip->version != 6)
		return VERDICT_BAD_HEADER;
	switch (ip->nexthdr) {
	case IPPROTO_UDP:
		break;
	case IPPROTO_FRAGMENT:
		return VERDICT_FRAGMENT;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case 139: // Host Identity Protocol
	case 140: // Shim6
		return VERDICT_OPTIONS;
	default:
		return other_protocol(ip->nexthdr);
	}
	if ((void *)(udp + 1) > end)
		return VERDICT_BAD_LENGTH;
	to.port = bpf_ntohs(udp->dest);
	if (!is_port(to.port))
		return VERDICT_OTHER;
	__builtin_memcpy(to.addr, &ip->daddr, sizeof(to.addr));
	if (!find_listener(&to, &d->row))
		return VERDICT_OTHER;
	verdict = at_home(ctx, data, d->tags, &to);
	if (verdict != GO_ON)
		return verdict;
	if (martian6(ctx, ip))
		return VERDICT_MARTIAN;
	__builtin_memcpy(d->from.addr, &ip->saddr, sizeof(d->from.addr));
	d->from.port = bpf_ntohs(udp->source);
	return measure(ctx, d, udp, l4, l4 + bpf_ntohs(ip->payload_len));
}

// check_bin checks whether the payload is a BIN packet that fits into a ring.
static __always_inline enum verdict check_bin(struct xdp_md *ctx, const struct datagram *d, void *data, void *end)
{
	__u8 *p = data + d->payload;
	__u32 marker;

	if (d->length < MIN_PAYLOAD)
		return VERDICT_NOT_BIN;
	if ((void *)p + sizeof(marker) <= end)
		marker = *(__u32 *)p;
	else if (bpf_xdp_load_bytes(ctx, d->payload, &marker, sizeof(marker)))
		return VERDICT_FAULT;
	if (marker != *(__u32 *)"P4CK")
		return VERDICT_NOT_BIN;
	if (d->length > MAX_PAYLOAD)
		return VERDICT_TOO_LONG;
	return may_merge && is_merged(ctx, d->payload, d->length) ? VERDICT_MERGED : GO_ON;
}

// The part of datagram.tags for one VLAN tag: its ID, and whether it is a service tag (802.1ad).
#define SERVICE_TAG 0x1000

// parse fills d from the frame. It returns GO_ON, or the verdict that keeps the frame out of the rings. The tags of two VLANs
// are the outer one in the upper half and the inner one in the lower half. A tag with ID 0 has only a priority.
static __always_inline enum verdict parse(struct xdp_md *ctx, struct datagram *d)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 l3 = sizeof(struct ethhdr);
	struct ethhdr *eth = data;
	enum verdict verdict;
	struct vlan *vlan;
	__u32 vlan_id;
	__be16 type;
	int i;

	if ((void *)(eth + 1) > end)
		return VERDICT_BAD_LENGTH;
	type = eth->h_proto;
#pragma unroll
	for (i = 0; i < 2; i++) {
		if (!is_tag(type))
			break;
		vlan = data + l3;
		if ((void *)(vlan + 1) > end)
			return VERDICT_BAD_LENGTH;
		vlan_id = bpf_ntohs(vlan->tag) & 0xfff;
		if (vlan_id)
			d->tags = d->tags << 16 | vlan_id | (type == bpf_htons(ETH_P_8021AD) ? SERVICE_TAG : 0);
		type = vlan->next;
		l3 += sizeof(*vlan);
	}
	if (type == bpf_htons(ETH_P_IP))
		verdict = parse_ipv4(ctx, d, data, l3, end);
	else if (type == bpf_htons(ETH_P_IPV6))
		verdict = parse_ipv6(ctx, d, data, l3, end);
	else
		return other_type(type);
	return verdict == GO_ON ? check_bin(ctx, d, data, end) : verdict;
}

#endif
