package ring

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nap is wait for naps: with a resolution of nanoseconds, and without a word to Go's scheduler.
//
// A system call normally offers the goroutine's place to others, and Go's monitor thread looks every 20 microseconds
// for such places to take. Beside a thousand naps a second this monitor would cost as much as the naps. So the
// goroutine keeps its place, as one that computes does. There are places enough: package appliance adds one for each
// ring. To stop the world, Go sends a signal, which ends the nap.
func (p *poller) nap(length time.Duration) error {
	p.timeout = unix.NsecToTimespec(length.Nanoseconds())
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), uintptr(unsafe.Pointer(&p.timeout)), 0, 0)
	if errno != 0 && !errors.Is(errno, unix.EINTR) {
		return fmt.Errorf("epoll: %w", errno)
	}
	return nil
}
