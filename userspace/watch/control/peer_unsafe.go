package control

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// peerGroups returns the supplementary groups of the peer of a Unix socket. x/sys has no wrapper for SO_PEERGROUPS,
// which Linux has had since 4.13.
func peerGroups(fd uintptr) ([]uint32, error) {
	for room := 32; ; {
		groups := make([]uint32, room)
		size := uint32(4 * room)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		n := int(size / 4)
		switch {
		case errno == 0:
			return groups[:n], nil
		case errno == unix.ERANGE && n > room:
			room = n
		default:
			return nil, errno
		}
	}
}
