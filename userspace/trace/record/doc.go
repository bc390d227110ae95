// Package record is the flight recorder: it keeps the last datagrams, good and bad, in files that Wireshark opens.
//
//	worker of a ring    --leaves records in the ring--> Trail -\
//	worker of a socket  --Record--> Tap: chunks of blocks -------+--> writer --> DIR/binrepd-NUMBER-TIME.pcapng
//
// Recording must not slow down what it records. What lies in a ring is read there a second time by the writer, one goroutine for all, and
// only then given back to the kernel: the worker does nothing for it (see Trail, and ring.Tail). What a socket delivers lies in memory that is
// filled anew at once, so that the worker copies it: it has a Tap of its own, shared with nobody but the writer, lays each datagram
// down in a buffer made beforehand, as the very block that goes to the file, and publishes the batch by one atomic store. Neither waits for
// anything: the writer looks for more every few milliseconds. While the disk is slow, rings and buffers
// hold what they have room for, and what has none is dropped and counted; the workers go on. While it refuses, only buffers keep
// something: what lies in a ring is missing there as room, and would come once more to the next process.
//
// A file begins with a section header and a description of one interface for each listen address, then come enhanced packet blocks. A datagram
// has no frame any more, so its block holds an IP and a UDP header made up from its source and the listen address (LINKTYPE_RAW). The
// headers of a file are written by gopacket's pcapgo, the blocks by our own encoder: pcapgo's takes a finished frame, copies it through a
// bufio.Writer in four pieces, and belongs to one goroutine, while here the frame's headers are stamped from a template and
// the payload is copied once on its way to the system. Blocks are written whole or taken back, so that a file ends with a whole
// block, unless the host dies in the middle of a write.
//
// All files together never exceed the limit: before a new file is begun, as many of the oldest are deleted as it may need room. Files that
// earlier processes left in the folder count, and no other file is touched.
//
// Format: pcapng, draft-ietf-opsawg-pcapng.
package record
