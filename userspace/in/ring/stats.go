package ring

import "sync/atomic"

// Stats are the counts of a Source.
type Stats struct {
	// Records and Bytes of payload delivered.
	Records, Bytes uint64
	// Refused records have a header with a longer payload than the record. Never seen.
	Refused uint64
	// Sleeps is how often the consumer slept until a record woke it, and Naps how often it slept for a time.
	Sleeps, Naps uint64
	// LateWakeups is how often the consumer had to find out by itself that it should be awake. Each would be a defect
	// of the wake-up protocol. Never seen.
	LateWakeups uint64
	// Size is the size of the ring, Fill what the source has still to read, and HighWater the highest use that was
	// measured, all in bytes with headers and rounding. Records that only a Tail has still to read count in HighWater,
	// since they use space, but not in Fill.
	Size, Fill, HighWater uint64
	// Inherited is the part of Fill that was already in the ring when it was opened. An earlier process left it.
	Inherited uint64
	// Consumed is how many records were given back to the kernel, including by earlier processes if the ring outlived
	// them.
	Consumed uint64
}

// counters are written by the goroutine of Receive and read by any.
type counters struct {
	records, bytes, refused, sleeps, naps, late, high atomic.Uint64
}

// add adds to a counter with a single writer, so it needs no locked instruction.
func add(c *atomic.Uint64, n uint64) {
	if n > 0 {
		c.Store(c.Load() + n)
	}
}
