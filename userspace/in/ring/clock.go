package ring

import "golang.org/x/sys/unix"

// clockAge is how long the offset between the clocks is trusted, in nanoseconds. The wall clock may be set or slewed.
const clockAge = 1e9

// clock converts the kernel's monotonic time to time since the Unix epoch, both in nanoseconds.
type clock struct {
	offset int64 // wall - monotonic
	read   int64 // monotonic time at which the offset was read
}

// epoch converts a monotonic time. It costs a subtraction, and two system calls in every second that has datagrams.
func (c *clock) epoch(monotonic int64) int64 {
	if monotonic-c.read > clockAge || c.read == 0 {
		c.read, c.offset = readClocks()
	}
	return monotonic + c.offset
}

func readClocks() (monotonic, offset int64) {
	var m, w unix.Timespec
	// These can't fail: both clocks exist everywhere.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &m)
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &w)
	return m.Nano(), w.Nano() - m.Nano()
}
