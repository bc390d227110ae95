// Package ring is a packets.Source for a BPF ring buffer that the XDP program of package bpf fills.
//
// The ring is memory that the kernel writes and this package reads. Two positions, which only grow, delimit its
// contents: the producer's position, which only the kernel writes, and the consumer's position, which only this package
// writes. Between them are the records. Each record has a header of 8 bytes with its length and two bits: busy
// (reserved, not submitted yet) and discarded. The data pages are mapped twice in a row, so that a record that crosses
// the end of the ring is contiguous in memory. Source of the format: kernel/bpf/ringbuf.c.
//
//	         consumer          next            producer
//	────────────┴───────────────┴────────────────┴─────────
//	    free    │ lent out in a │ to be read     │  free
//	            │ batch         │                │
//
// Receive reads the producer's position once, walks up to it, and fills the batch with views in place. Release moves
// the consumer's position, once per batch. Until then the kernel doesn't overwrite what was lent out.
//
// Before it sleeps, Receive looks for new records for a short time (Config.Spin). Then it sets its sleep flag and looks
// a last time. The program wakes it only if the flag is set. Package bpf explains why no wake-up gets lost.
//
// # Naps
//
// Each wake-up costs both sides some microseconds. At 50,000 to 400,000 records a second a consumer that sleeps
// whenever it has read everything is woken for a few dozen records each time, and wake-ups are most of the processor
// time. So with Config.Coalesce, while traffic lasts, the consumer naps instead: it sleeps for a time, during which
// records gather, and no record wakes it. The time follows the rate (moderator). The program ends a nap early when an
// eighth of the ring is full, and Stop ends it at once. When traffic stops, the consumer sleeps as described above, so
// a record that comes alone doesn't wait.
//
// With a Tail, a second reader after the Source, records stay until both have read them, within limits:
//
//	         consumer           tail         position          next
//	────────────┴─────────────────┴──────────────┴───────────────┴──
//	    free    │ lent out by     │ the source   │ lent out by   │
//	            │ the tail        │ is done      │ the source    │
//
// The files: ring.go walks the records, in any memory; ring_unsafe.go maps the memory; wait.go waits for records;
// moderate.go naps, as long as moderator.go says; poll.go sleeps; giveback.go moves the consumer's position; source.go
// combines them; tail.go is the second reader.
package ring
