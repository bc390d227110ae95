// Package ring is a datagram.Source over a BPF ring buffer that the XDP program of package bpf fills.
//
// The ring is memory that the kernel writes and we read. Two positions, which only grow, say what is in it: the producer's,
// which only the kernel writes, and the consumer's, which only we write. Between them lie records, each behind a header
// of 8 bytes with its length and two bits: busy (reserved, not submitted yet) and discarded. The data pages are mapped
// twice in a row, so that a record that crosses the end of the ring lies in one piece. Source of the format: kernel/bpf/ringbuf.c.
//
//	         consumer          next            producer
//	────────────┴───────────────┴────────────────┴─────────
//	    free    │ lent out in a │ to be read     │  free
//	            │ batch         │                │
//
// Receive reads the producer's position once, walks up to it, and fills the batch with views in place. Release moves
// the consumer's position, once per batch: until then the kernel doesn't overwrite what was lent out.
//
// Before it sleeps, Receive looks for new records for a short time (Config.Spin), then sets its sleep flag and looks a last time.
// The program wakes it only if the flag is set; why no wake-up gets lost is told in package bpf.
//
// With a Tail, a second reader behind the Source, records stay until both have read them, within limits:
//
//	         consumer           tail         position          next
//	────────────┴─────────────────┴──────────────┴───────────────┴──
//	    free    │ lent out by     │ the source   │ lent out by   │
//	            │ the tail        │ is done      │ the source    │
//
// The parts: ring.go walks, on any memory; ring_unsafe.go maps; wait.go waits for records; poll.go sleeps; giveback.go moves the
// consumer's position; source.go puts them together; tail.go reads once more.
package ring
