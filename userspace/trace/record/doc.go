// Package record is the flight recorder. It keeps the last packets, good and bad, in files that Wireshark can open.
//
//	worker of a ring        --leaves records in the ring--> Trail -\
//	worker of a socket      --Record--> Tap: chunks of blocks -------+--> writer --> DIR/binrepd-NUMBER-TIME.pcapng
//	readers of connections  --Record--> Connection, one Tap for all -/
//
// Recording must not slow down the workers. The writer is one goroutine for all of them. It reads the records of a ring
// a second time, and only then are they given back to the kernel; the worker does nothing for that (see Trail and
// ring.Tail). A socket delivers into memory that is reused at once, so there the worker makes a copy. Such a worker has
// a Tap that it shares only with the writer. It writes each datagram into a preallocated buffer, as the block that goes
// to the file, and publishes the batch by one atomic store. Neither side waits: the writer checks for more every few
// milliseconds.
//
// While the disk is slow, rings and buffers hold what they have room for. The rest is dropped and counted, and the
// workers go on. While the disk returns errors, only the buffers keep data. Data in a ring would take its room, and the
// next process would receive it again.
//
// Connections of clusters have one Tap in common, behind a lock. The reader of a connection takes it once for what one
// read brought, before anything is done with the packets. So the recording has what the connection brought, and not only
// what reached the table: pings, topology and syncs as well. Of a TLS connection it has the decrypted packets. What this
// side sends is not recorded.
//
// A file starts with a section header and the description of one interface for each listen address and each cluster, all
// of the same link type: libpcap refuses files with several. Enhanced packet blocks follow. A datagram no longer has a
// frame, so its block has an Ethernet, an IP and a UDP header made from its source and the listen address. A packet of a
// connection becomes a TCP segment of its own from the peer; sequence numbers count the bytes of packets since the
// connection began, with a SYN in front and a FIN at the end. MAC addresses are invented (02:42:49:4e:00:01 is this host).
// gopacket's pcapgo writes the headers of a file; this package encodes the blocks itself. pcapgo needs a complete frame,
// copies it through a bufio.Writer in four pieces, and belongs to one goroutine. Here the headers come from a template,
// and the payload is copied once on its way to the system. A block is written completely or removed again, so a file ends
// with a complete block unless the host dies during a write.
//
// All files together never exceed the limit. Before a new file is made, the oldest files are deleted until there is
// room for it. Files of earlier processes in the folder count. Other files are never touched.
//
// Format: pcapng, draft-ietf-opsawg-pcapng.
package record
