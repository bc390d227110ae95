package bpf

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// events reports that interfaces or addresses of a network namespace have changed, but not what changed: the receiver
// reads the current state itself. So a lost message (ENOBUFS) counts as a message, and several messages count as one.
type events struct {
	socket, stopper int
	buffer          []byte
}

// newEvents subscribes to changes in the network namespace of the calling thread.
func newEvents() (*events, error) {
	stopper, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("netlink socket: %w", err), unix.Close(stopper))
	}
	e := &events{socket: socket, stopper: stopper, buffer: make([]byte, 1<<16)}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err := unix.Bind(socket, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return nil, errors.Join(fmt.Errorf("netlink subscription: %w", err), e.close())
	}
	return e, nil
}

// renew subscribes again, in place of a subscription that failed.
func (e *events) renew() error {
	fresh, err := newEvents()
	if err != nil {
		return err
	}
	err = errors.Join(unix.Close(e.socket), unix.Close(fresh.stopper))
	e.socket = fresh.socket
	return err
}

// wait returns when something has changed, and after the timeout if that is not 0. It returns false after stop.
func (e *events) wait(timeout time.Duration) (goOn bool, err error) {
	limit := -1
	if timeout > 0 {
		limit = int((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	for {
		fds := []unix.PollFd{{Fd: int32(e.socket), Events: unix.POLLIN}, {Fd: int32(e.stopper), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, limit)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return true, fmt.Errorf("poll: %w", err)
		case fds[1].Revents != 0:
			return false, nil
		case n == 0:
			return true, nil
		}
		changed, err := e.drain()
		if changed || err != nil {
			return true, err
		}
	}
}

// pause returns after the time, or false after stop. It doesn't look at the subscription.
func (e *events) pause(d time.Duration) (goOn bool) {
	for end := time.Now().Add(d); ; {
		left := time.Until(end)
		if left <= 0 {
			return true
		}
		fds := []unix.PollFd{{Fd: int32(e.stopper), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, int(left/time.Millisecond)+1); err == nil && n > 0 {
			return false
		}
	}
}

// drain reads all waiting messages.
func (e *events) drain() (changed bool, err error) {
	for {
		_, _, err := unix.Recvfrom(e.socket, e.buffer, unix.MSG_DONTWAIT)
		switch {
		case err == nil, errors.Is(err, unix.ENOBUFS):
			changed = true
		case errors.Is(err, unix.EAGAIN):
			return changed, nil
		case errors.Is(err, unix.EINTR):
		default:
			return changed, fmt.Errorf("netlink: %w", err)
		}
	}
}

// stop ends the current wait and every later one. It may be called from any goroutine.
func (e *events) stop() error {
	one := [8]byte{1}
	_, err := unix.Write(e.stopper, one[:])
	return err
}

func (e *events) close() error {
	return errors.Join(unix.Close(e.socket), unix.Close(e.stopper))
}
