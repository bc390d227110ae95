package ring

import "sync/atomic"

// Stats tell how a Source fares.
type Stats struct {
	// Records and Bytes of payload delivered.
	Records, Bytes uint64
	// Refused records: their payload would be longer than they are. Never seen.
	Refused uint64
	// Sleeps is how often the consumer slept.
	Sleeps uint64
	// LateWakeups is how often it had to find out by itself that it should be awake. Never seen: a defect of
	// the wake-up protocol.
	LateWakeups uint64
	// Size of the ring, Fill, what the source has still to read, and HighWater, the most that a look found in use, in bytes with headers
	// and rounding. What only a Tail has still to read is in HighWater, for it leaves less room, and not in Fill.
	Size, Fill, HighWater uint64
	// Inherited is what is still there, in the same way, of what was in the ring when it was opened: of an earlier process.
	Inherited uint64
	// Consumed records are those that were given back to the kernel, by earlier processes, too, where the ring outlived them.
	Consumed uint64
}

// counters are written by the goroutine of Receive and read by any.
type counters struct {
	records, bytes, refused, sleeps, late, high atomic.Uint64
}

// add is for words with one writer: no locked instruction is needed.
func add(c *atomic.Uint64, n uint64) {
	if n > 0 {
		c.Store(c.Load() + n)
	}
}
