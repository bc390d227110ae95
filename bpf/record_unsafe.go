package bpf

import "unsafe"

// Layout of a record: the offsets in bytes of the header's fields and of the payload. The payload's offset is the size
// of the header. All fields are in the byte order of the host. See struct record in src/record.h.
const (
	RecordReceived = int(unsafe.Offsetof(binrepdRecord{}.Received)) // u64, nanoseconds of CLOCK_MONOTONIC
	RecordLength   = int(unsafe.Offsetof(binrepdRecord{}.Length))   // u32, bytes of payload
	RecordHash     = int(unsafe.Offsetof(binrepdRecord{}.Hash))     // u32, steering hash
	RecordAddr     = int(unsafe.Offsetof(binrepdRecord{}.Addr))     // 16 bytes, IPv4 as ::ffff:a.b.c.d
	RecordPort     = int(unsafe.Offsetof(binrepdRecord{}.Port))     // u16
	RecordListener = int(unsafe.Offsetof(binrepdRecord{}.Listener)) // u8, index into Config.Listeners
	RecordHeader   = int(unsafe.Offsetof(binrepdRecord{}.Payload))  // not Sizeof: Go adds padding after an empty array
)

// SleeperSize is the distance in bytes between the sleep flags of two rings in the mapped Sleepers. Each flag is a u32
// at the start: Awake, Asleep, or of a consumer that naps the producer's position at which to wake it, in units of WakeSlot.
const SleeperSize = int(unsafe.Sizeof(binrepdSleeper{}))

// States of a sleep flag, and the unit of positions there. See struct sleeper in src/record.h.
const (
	Awake    = uint32(binrepdLimitAWAKE)
	Asleep   = uint32(binrepdLimitASLEEP)
	WakeSlot = uint64(binrepdLimitWAKE_SLOT)
)
