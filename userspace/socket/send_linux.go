//go:build !portable

package socket

import (
	"errors"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"binrepd/userspace/datagram"
)

const (
	// retries is how often a message is offered again after an error that may have been about an earlier one. The
	// kernel's pending error fails whichever call comes next, so the first failure proves nothing.
	retries = 3
	// maxRetries bounds that while the error queue shows that there are such errors, as when a destination
	// refuses what another goroutine keeps sending to it.
	maxRetries = 16
)

// sender holds what sendmmsg reads.
type sender struct {
	mu      sync.Mutex // guards all below; package net would make concurrent writers wait for each other, too
	slots   []sendSlot
	headers []unix.Mmsghdr

	write func(fd uintptr) bool // trySend, bound once
	off   int                   // the next header to send
	end   int                   // behind the last
	tries int                   // failures of headers[off]
	errno syscall.Errno         // why headers[off] was refused
}

type sendSlot struct {
	iov  unix.Iovec
	name [unix.SizeofSockaddrInet6]byte
}

func (t *sender) init(s *Socket) {
	t.slots = make([]sendSlot, s.cfg.Batch)
	t.headers = make([]unix.Mmsghdr, s.cfg.Batch)
	for i := range t.headers {
		slot, h := &t.slots[i], &t.headers[i].Hdr
		h.Iov = &slot.iov
		h.SetIovlen(1)
		h.Name = &slot.name[0]
	}
	t.write = s.trySend
}

// Send hands messages to the kernel in order and returns how many it took. With n < len(m), the error tells
// why m[n] was refused: a syscall.Errno, ErrFamily, or net.ErrClosed. A full send buffer is waited for. What the network
// reports later is no error of Send; see Config.OnError.
func (s *Socket) Send(m []datagram.Message) (n int, err error) {
	t := &s.tx
	t.mu.Lock()
	defer t.mu.Unlock()
	for n < len(m) && err == nil {
		loaded := s.load(m[n:])
		if loaded == 0 {
			err = ErrFamily
			break
		}
		t.off, t.end, t.tries, t.errno = 0, loaded, 0, 0
		err = s.raw.Write(t.write)
		if err == nil && t.errno != 0 {
			err = t.errno
		}
		n += t.off
		t.unload(loaded)
	}
	var bytes uint64
	for i := range m[:n] {
		bytes += uint64(len(m[i].Payload))
	}
	s.snd.messages.Add(uint64(n))
	s.snd.bytes.Add(bytes)
	switch {
	case err == nil:
	case errors.Is(err, net.ErrClosed):
		err = net.ErrClosed
	default:
		s.snd.failed.count(err)
	}
	return n, err
}

// load points headers at as many messages of m as fit, up to the first that this socket's family can't reach.
func (s *Socket) load(m []datagram.Message) int {
	t := &s.tx
	n := min(len(m), len(t.headers))
	for i := range n {
		slot := &t.slots[i]
		size := s.setName(&slot.name, &m[i].To)
		if size == 0 {
			return i
		}
		t.headers[i].Hdr.Namelen = size
		slot.iov.Base = nil
		if p := m[i].Payload; len(p) > 0 {
			slot.iov.Base = &p[0]
		}
		slot.iov.SetLen(len(m[i].Payload))
	}
	return n
}

// unload forgets the payloads, so that they are not kept alive until the next Send.
func (t *sender) unload(n int) {
	for i := range n {
		t.slots[i].iov.Base = nil
	}
}

// trySend sends what is loaded. False means that the send buffer is full and the poller should wait.
func (s *Socket) trySend(fd uintptr) bool {
	t := &s.tx
	for t.off < t.end {
		n, errno := sendmmsg(fd, t.headers[t.off:t.end], unix.MSG_DONTWAIT)
		switch errno {
		case 0:
			t.off += n
			t.tries = 0
			if t.off < t.end {
				// The kernel keeps to itself why it stopped. If a pending error was the reason, it is cleared
				// by now and nobody else will look for its cause.
				s.reap(fd)
			}
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			reaped := s.reap(fd)
			t.tries++
			if t.tries > retries && (reaped == 0 || t.tries > maxRetries) {
				t.errno = errno
				return true
			}
		}
	}
	return true
}
