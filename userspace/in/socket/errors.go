package socket

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"syscall"

	"binrepd/userspace/in/packets"
)

// ErrFamily is Send's error for a message to an IPv6 destination through an IPv4 socket, or the reverse.
var ErrFamily = errors.New("destination is of another address family than the socket")

// ListenError tells why an address can't be listened on. Err holds the system's errno.
type ListenError struct {
	Addr netip.AddrPort
	Err  error
}

func (e *ListenError) Unwrap() error { return e.Err }

func (e *ListenError) Error() string {
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return fmt.Sprintf("address %s is in use: another process listens there", e.Addr)
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("address %s is not on this host: no interface has it", e.Addr)
	case errors.Is(e.Err, syscall.EACCES):
		return fmt.Sprintf("address %s may not be listened on: a port below 1024 needs CAP_NET_BIND_SERVICE", e.Addr)
	case errors.Is(e.Err, syscall.EAFNOSUPPORT):
		return fmt.Sprintf("address %s can't be listened on: this host has no such address family", e.Addr)
	}
	var errno syscall.Errno
	if errors.As(e.Err, &errno) {
		return fmt.Sprintf("address %s can't be listened on: %v", e.Addr, error(errno))
	}
	return fmt.Sprintf("address %s can't be listened on: %v", e.Addr, e.Err)
}

// sendError is why the system didn't take a message, or what the network said of one that it took. It matches the results of a
// packets.Sink, and its cause is the syscall.Errno.
type sendError syscall.Errno

func (e sendError) Error() string { return syscall.Errno(e).Error() }
func (e sendError) Unwrap() error { return syscall.Errno(e) }

func (e sendError) Is(target error) bool {
	switch syscall.Errno(e) {
	case syscall.ECONNREFUSED:
		return target == packets.ErrRefused
	case syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN,
		syscall.EACCES, syscall.EPERM: // EPERM is what a local firewall answers
		return target == packets.ErrNoRoute
	case syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN:
		return target == packets.ErrFull
	}
	return false
}

// ErrorCounts are errors of sending, by kind.
type ErrorCounts struct {
	Refused     uint64 // nothing listens at the destination
	Unreachable uint64 // no route, or a router or a firewall says no
	TooLong     uint64 // longer than a datagram can be, or than the path takes
	NoBuffer    uint64 // the host's own queue or memory is full
	Other       uint64
}

// errorCounters are ErrorCounts that several goroutines count in.
type errorCounters struct {
	refused, unreachable, tooLong, noBuffer, other atomic.Uint64
}

func (c *errorCounters) count(err error) {
	switch {
	case errors.Is(err, packets.ErrRefused):
		c.refused.Add(1)
	case errors.Is(err, packets.ErrNoRoute):
		c.unreachable.Add(1)
	case errors.Is(err, syscall.EMSGSIZE):
		c.tooLong.Add(1)
	case errors.Is(err, packets.ErrFull):
		c.noBuffer.Add(1)
	default:
		c.other.Add(1)
	}
}

func (c *errorCounters) load() ErrorCounts {
	return ErrorCounts{
		Refused:     c.refused.Load(),
		Unreachable: c.unreachable.Load(),
		TooLong:     c.tooLong.Load(),
		NoBuffer:    c.noBuffer.Load(),
		Other:       c.other.Load(),
	}
}
