//go:build !portable

package socket

import (
	"encoding/binary"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"binrepd/userspace/in/packets"
)

// reapBatch is how many errors are read with one call. Usually there is one.
const reapBatch = 16

// reaper reads the socket's error queue. The queue must be read even if nothing watches: what lies in it counts against the
// receive buffer.
type reaper struct {
	mu      sync.Mutex // guards all below
	headers [reapBatch]unix.Mmsghdr
	slots   [reapBatch]reapSlot
}

// reapSlot is one error: the destination of the message that failed, and what the kernel says of it. The
// message's own bytes are not asked for.
type reapSlot struct {
	name [unix.SizeofSockaddrInet6]byte
	// A time (32 bytes) and a struct sock_extended_err with the address of the host that reported (64).
	control [128]byte
}

type networkError struct {
	to    packets.Endpoint
	errno syscall.Errno
}

func (r *reaper) init() {
	for i := range r.headers {
		slot, h := &r.slots[i], &r.headers[i].Hdr
		h.Name = &slot.name[0]
		h.Control = &slot.control[0]
	}
}

// Poll reads the errors that the network has reported, passes them to those who watch, and returns how many there were. Receive and
// Send do the same when an error disturbs them. A socket that only sends learns of errors about its last messages by Poll alone.
func (s *Socket) Poll() (reported int) {
	_ = s.raw.Control(func(fd uintptr) { reported = s.reap(fd) })
	return reported
}

// reap empties the error queue and returns how many errors of the network were in it. Those of this host are passed
// over: Send has returned them.
func (s *Socket) reap(fd uintptr) (total int) {
	var found [reapBatch]networkError
	for {
		n, more := s.reapOnce(fd, &found)
		for _, e := range found[:n] {
			s.reported(e.to, e.errno) // without the lock: a function that watches may take its time
		}
		total += n
		if !more {
			return total
		}
	}
}

func (s *Socket) reapOnce(fd uintptr, found *[reapBatch]networkError) (n int, more bool) {
	r := &s.reaper
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.headers {
		h := &r.headers[i].Hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(len(r.slots[i].control))
	}
	got, errno := recvmmsg(fd, r.headers[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if errno != 0 {
		return 0, errno == unix.EINTR
	}
	for i := range got {
		slot := &r.slots[i]
		size := min(int(r.headers[i].Hdr.Controllen), len(slot.control))
		if errno, ok := icmpError(slot.control[:size]); ok && r.headers[i].Hdr.Namelen > 0 {
			found[n] = networkError{s.endpoint(&slot.name), errno}
			n++
		}
	}
	return n, got == len(r.headers)
}

// icmpError finds the struct sock_extended_err among control messages and returns its errno. ok is false when there
// is none or when it is not about an ICMP message. The layout, from linux/errqueue.h: errno (4 bytes), origin (1),
// type, code and padding (1 each), info and data (4 each).
func icmpError(control []byte) (errno syscall.Errno, ok bool) {
	for len(control) >= unix.SizeofCmsghdr {
		hdr, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return 0, false
		}
		v4 := hdr.Level == unix.IPPROTO_IP && hdr.Type == unix.IP_RECVERR
		v6 := hdr.Level == unix.IPPROTO_IPV6 && hdr.Type == unix.IPV6_RECVERR
		if (v4 || v6) && len(data) >= 16 {
			origin := data[4]
			return syscall.Errno(binary.NativeEndian.Uint32(data)),
				origin == unix.SO_EE_ORIGIN_ICMP || origin == unix.SO_EE_ORIGIN_ICMP6
		}
		control = rest
	}
	return 0, false
}
