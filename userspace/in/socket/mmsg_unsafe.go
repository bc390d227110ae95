//go:build linux && !portable

package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below have no wrapper in x/sys. Those of x/net allocate an address for each message.
// All pointers inside a header are typed and lead to the heap, so the collector sees them.

// recvmmsg fills headers and returns how many it filled. See recvmmsg(2).
func recvmmsg(fd uintptr, headers []unix.Mmsghdr, flags int) (n int, errno syscall.Errno) {
	r, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd,
		uintptr(unsafe.Pointer(unsafe.SliceData(headers))), uintptr(len(headers)), uintptr(flags), 0, 0)
	return int(r), errno
}

// sendmmsg sends what headers describe and returns how many it sent. See sendmmsg(2).
func sendmmsg(fd uintptr, headers []unix.Mmsghdr, flags int) (n int, errno syscall.Errno) {
	r, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd,
		uintptr(unsafe.Pointer(unsafe.SliceData(headers))), uintptr(len(headers)), uintptr(flags), 0, 0)
	return int(r), errno
}

// getMeminfo reads the memory counters of a socket, which end with its count of drops. Since Linux 4.12.
func getMeminfo(fd int, info *[unix.SK_MEMINFO_VARS]uint32) syscall.Errno {
	size := uint32(unsafe.Sizeof(*info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(info)), uintptr(unsafe.Pointer(&size)), 0)
	return errno
}

// timeControl is the one control message that a datagram comes with: SO_TIMESTAMPNS_NEW and its struct
// __kernel_timespec, 64 bits each on every architecture.
type timeControl struct {
	header    unix.Cmsghdr
	sec, nsec int64
}

const sizeofTimeControl = int(unsafe.Sizeof(timeControl{}))

func (c *timeControl) bytes() *byte { return (*byte)(unsafe.Pointer(c)) }

// time returns the nanoseconds since the Unix epoch that the kernel wrote. size is how many bytes of control messages it
// wrote.
func (c *timeControl) time(size uint64) (ns int64, ok bool) {
	if size < uint64(sizeofTimeControl) ||
		c.header.Level != unix.SOL_SOCKET || c.header.Type != unix.SO_TIMESTAMPNS_NEW {
		return 0, false
	}
	return c.sec*1e9 + c.nsec, true
}

// segmentControl is the one control message that a run goes out with: UDP_SEGMENT and the length of its segments.
// See udp(7).
type segmentControl struct {
	header unix.Cmsghdr
	size   uint16
	_      [6]byte // CMSG_SPACE
}

const sizeofSegmentControl = int(unsafe.Sizeof(segmentControl{}))

func (c *segmentControl) init() {
	c.header.Level, c.header.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	c.header.SetLen(unix.CmsgLen(int(unsafe.Sizeof(c.size))))
}

func (c *segmentControl) bytes() *byte { return (*byte)(unsafe.Pointer(c)) }
