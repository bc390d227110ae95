// Package bpf is the kernel side: an XDP program that takes BIN datagrams out of the frames of an interface and
// puts them into ring buffers, and what loads, attaches and watches it.
//
//	                 ┌ not ours, odd, or no room: XDP_PASS ─> kernel ─> socket
//	frame ─> parse ──┤
//	                 └ ours: hash of the Call-ID ─> ring ─> record: XDP_DROP
//
// A frame either becomes a record, whole, or goes to the kernel as it came. The program drops only BIN packets to a listener from
// a source that may not speak (Program.Allow) or that sends more than its rate (Config.Rate). It takes
// UDP datagrams to one of the listen addresses, in Ethernet with up to two VLAN tags, IPv4 without options or IPv6
// without extension headers, unfragmented, that start with the marker of a BIN packet. Every frame gets one Verdict,
// counted per listener (Counters). The rules are in src/parse.h in the order of their application.
//
// What the program takes, netfilter and the routing rules don't see. What they would refuse by address alone, such as
// 127.0.0.1 from outside, the program leaves to them. It checks the IPv4 header but not the UDP checksum: a BIN packet
// carries its own. In generic mode it sees what the kernel has merged before: where UDP GRO is switched on for an
// interface (rx-udp-gro-forwarding, off by default) or a local sender uses UDP segmentation on lo, several datagrams
// would come as one, which the checksum of BIN then refuses, unless it is too long for a ring: then the kernel gets it, and cuts
// it. Package socket uses UDP segmentation only for what is too long. (Such a run may be overtaken by what a ring takes, as fragments may.)
//
// # Rings
//
// There are up to 16 rings. Which one a datagram goes to is the seeded hash of its Call-ID (src/steer.h, the same function as
// datagram.Steering), so that all events of one call are in one ring, in the order of arrival. Each ring has one consumer
// (package ring), which reads records in place. The layout of a record is struct record in src/record.h; Go gets it
// generated.
//
// # Waking the consumer
//
// A wake-up costs several times what a record costs, so that the program makes one only when the consumer has said that it
// sleeps. For each ring there is a flag, in a map that the consumer has mapped:
//
//	program                                  consumer
//	1. submit the record (full barrier)      1. set the flag (full barrier)
//	2. read the flag                         2. look at the ring
//	3. set? then clear it and wake           3. empty: sleep in epoll; else clear the flag and go on
//
// Whichever comes first, one of the two sees what the other did, and no record waits for a sleeper. "Empty" means that
// the consumer has taken all up to the producer's position: a record that is reserved but not submitted is waited for awake.
//
// A wake-up is itself a small discarded record, since only the end of a record can wake. It is reserved before the
// flag is cleared. At that time the ring has room: when the consumer fell asleep it was empty, or had as much room as the smallest
// one has, and every processor puts in one record before it tries to wake, so that there is room for one of the largest records
// from each (ValidateRingSize). A processor that finds no room can only have been overtaken by one that found it.
//
// # Attaching
//
// The program is attached by a BPF link, which the kernel removes when its last descriptor is closed: unless it is pinned it
// goes away with the process, however that dies. A foreign XDP program is never replaced (ForeignProgramError). Follow keeps the program on
// interfaces by name, across deletion and re-creation, and keeps the addresses of wildcard listeners up to date.
//
// # Outliving the process
//
// With a Pin, rings and attachments outlive the process, and the program goes on filling the rings. The next process loads its own
// program for the same rings and exchanges it for the old one on each interface in one step, so that nothing passes by in between.
//
// Needed: Linux 5.18; CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON in the initial user namespace.
package bpf
