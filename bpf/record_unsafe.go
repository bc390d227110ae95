package bpf

import "unsafe"

// Layout of a record: offsets in bytes of the fields of its header and of the payload, which is the size of the header.
// All in the byte order of the host. See struct record in src/record.h.
const (
	RecordReceived = int(unsafe.Offsetof(binrepdRecord{}.Received)) // u64, nanoseconds of CLOCK_MONOTONIC
	RecordLength   = int(unsafe.Offsetof(binrepdRecord{}.Length))   // u32, bytes of payload
	RecordHash     = int(unsafe.Offsetof(binrepdRecord{}.Hash))     // u32, steering hash
	RecordAddr     = int(unsafe.Offsetof(binrepdRecord{}.Addr))     // 16 bytes, IPv4 as ::ffff:a.b.c.d
	RecordPort     = int(unsafe.Offsetof(binrepdRecord{}.Port))     // u16
	RecordListener = int(unsafe.Offsetof(binrepdRecord{}.Listener)) // u8, index into Config.Listeners
	RecordHeader   = int(unsafe.Offsetof(binrepdRecord{}.Payload))  // and not Sizeof: Go pads behind an empty array
)

// SleeperSize is the distance of two rings' sleep flags in the mapped Sleepers, bytes. A flag is a u32 at its begin.
const SleeperSize = int(unsafe.Sizeof(binrepdSleeper{}))
