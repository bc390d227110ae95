// Package bpf is the kernel side: an XDP program that takes BIN datagrams out of the frames of an interface and puts
// them into ring buffers, and the code that loads, attaches and watches it.
//
//	                 ┌ not ours, odd, or no room: XDP_PASS ─> kernel ─> socket
//	frame ─> parse ──┤
//	                 └ ours: hash of the Call-ID ─> ring ─> record: XDP_DROP
//
// A frame either becomes a complete record or goes to the kernel unchanged. The program drops a frame only if it has a
// BIN packet to a listener from a source that is not allowed (Program.Allow) or that sends more than its rate
// (Config.Rate). The program takes UDP datagrams to a listen address that start with the marker of a BIN packet. They
// must be unfragmented, in Ethernet with up to two VLAN tags, in IPv4 without options or IPv6 without extension
// headers. Every frame gets one Verdict, counted per listener (Counters). src/parse.h has the rules in the order in
// which they apply.
//
// Netfilter and the routing rules don't see what the program takes. The program leaves to them what they would refuse
// by address alone: 127.0.0.1 or an address of this host as the source of a frame from outside, another host's
// destination MAC address, the tag of a VLAN on which the listen address doesn't live. Follow tells the program the MAC
// addresses and VLANs of the host (station.go). It checks the IPv4 header but not the UDP checksum: a BIN packet of
// generation 1 has its own checksum. One of generation 2 gets one from the appliance that sends it.
//
// In generic mode the program sees frames after the kernel has merged them. This happens where UDP GRO is switched on
// for an interface (rx-udp-gro-forwarding, off by default), or where a local sender uses UDP segmentation on lo.
// Several datagrams then arrive as one. It is too long for a ring, or it has the marker of a packet more than once. The
// program leaves it to the kernel, which splits it. Datagrams that arrive in rings may overtake such a run, as they may
// overtake fragments.
//
// # Rings
//
// There are up to 16 rings. The seeded hash of the Call-ID decides which ring gets a datagram of either generation
// (src/steer.h, the same function as packets.Steering). So all events of one call are in one ring, in the order of arrival. Each ring has one
// consumer (package ring), which reads records in place. struct record in src/record.h is the layout of a record; the
// Go side is generated from it.
//
// # Waking the consumer
//
// A wake-up costs several times as much as a record. So the program makes one only when the consumer has said that it
// sleeps. Each ring has a flag for this, in a map that the consumer has mapped into its memory:
//
//	program                                  consumer
//	1. submit the record (full barrier)      1. set the flag (full barrier)
//	2. read the flag                         2. look at the ring
//	3. set? then clear it and wake           3. empty: sleep in epoll; else clear the flag and go on
//
// Whichever side comes first, the other side sees what it did, so no record waits for a sleeping consumer. "Empty"
// means that the consumer has consumed everything up to the producer's position. While a record is reserved but not
// submitted, the consumer waits awake.
//
// A consumer that naps (package ring) wakes by itself. Its flag is the position at which the program wakes it nevertheless,
// because an eighth of the ring is full then.
//
// A wake-up is itself a small discarded record, since only the end of a record can wake the consumer. The program
// reserves it before it clears the flag. The ring always has room for it: when the consumer fell asleep, the ring was
// empty or had at least as much room as the smallest allowed ring has. Every processor puts in one record before it
// tries to wake, and the smallest ring has room for one of the largest records and a wake-up from each processor
// (ValidateRingSize). If a processor finds no room, another one has found room and wakes the consumer.
//
// # Attaching
//
// The program is attached by a BPF link, which the kernel removes when its last descriptor is closed. So unless the
// link is pinned, it ends with the process, however the process dies. A foreign XDP program is never replaced
// (ForeignProgramError). Follow keeps the program on interfaces by name, across deletion and re-creation, or on those where
// frames to the listen addresses come in. It keeps what the program knows of the host up to date. Errors that may pass,
// such as too many open files, detach nothing; the follower tries again.
//
// # Outliving the process
//
// With a Pin, rings and attachments outlive the process, and the program goes on filling the rings. The next process
// loads its own program for the same rings and replaces the old program on each interface in one step, so that no frame
// slips by.
//
// Requirements: Linux 5.18; CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON in the initial user namespace.
package bpf
