//go:build !portable

package socket

import (
	"errors"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"binrepd/userspace/in/packets"
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
	mu      sync.Mutex     // guards all below; package net would make concurrent writers wait for each other, too
	iovs    []unix.Iovec   // one for each message that is loaded
	slots   []sendSlot     // one for each header
	headers []unix.Mmsghdr // one for each message or run
	refused refusals

	write  func(fd uintptr) bool // trySend, bound once
	off    int                   // the next header to send
	end    int                   // behind the last
	sent   int                   // messages of the headers before off
	tries  int                   // failures of headers[off]
	errno  syscall.Errno         // why headers[off] was refused
	asOne  bool                  // and that it was refused as a run
	merged uint64                // messages that left in runs
}

// sendSlot is what belongs to one header beside its messages.
type sendSlot struct {
	messages int
	control  segmentControl
	name     [unix.SizeofSockaddrInet6]byte
}

func (t *sender) init(s *Socket) {
	t.slots = make([]sendSlot, s.cfg.Batch)
	t.headers = make([]unix.Mmsghdr, s.cfg.Batch)
	t.iovs = make([]unix.Iovec, max(s.cfg.Batch, loadMost))
	for i := range t.headers {
		slot, h := &t.slots[i], &t.headers[i].Hdr
		slot.control.init()
		h.Name = &slot.name[0]
	}
	t.write = s.trySend
}

// Send hands messages to the kernel in order and returns how many it took. With n < len(m), the error tells
// why m[n] was refused: an error that wraps a syscall.Errno and matches the results of a packets.Sink, ErrFamily, or
// net.ErrClosed. A full send buffer is waited for. What the network reports later is no error of Send; see Watch.
func (s *Socket) Send(m []packets.Message) (n int, err error) {
	t := &s.tx
	t.mu.Lock()
	defer t.mu.Unlock()
	t.merged = 0
	for n < len(m) && err == nil {
		loaded := s.load(m[n:])
		if loaded == 0 {
			err = ErrFamily
			break
		}
		t.off, t.sent, t.tries, t.errno, t.asOne = 0, 0, 0, 0, false
		err = s.raw.Write(t.write)
		n += t.sent
		switch {
		case err != nil || t.errno == 0:
		case t.asOne:
			t.refused.add(&m[n].To, len(m[n].Payload), t.errno)
		default:
			err = sendError(t.errno)
		}
		clear(t.iovs[:loaded]) // so that the payloads are not kept alive until the next Send
	}
	var bytes uint64
	for i := range m[:n] {
		bytes += uint64(len(m[i].Payload))
	}
	s.snd.messages.Add(uint64(n))
	s.snd.bytes.Add(bytes)
	s.snd.merged.Add(t.merged)
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
func (s *Socket) load(m []packets.Message) (loaded int) {
	t := &s.tx
	m = m[:min(len(m), len(t.iovs))]
	t.end = 0
	for loaded < len(m) && t.end < len(t.headers) {
		run, asOne := s.run(m[loaded:])
		if asOne {
			if !s.loadHeader(m[loaded:loaded+run], loaded) {
				return loaded
			}
			loaded += run
			continue
		}
		for ; run > 0 && t.end < len(t.headers); run-- {
			if !s.loadHeader(m[loaded:loaded+1], loaded) {
				return loaded
			}
			loaded++
		}
	}
	return loaded
}

// loadHeader points the next header at a message, or at those of a run. at is where their vectors begin.
func (s *Socket) loadHeader(m []packets.Message, at int) bool {
	t := &s.tx
	slot, h := &t.slots[t.end], &t.headers[t.end].Hdr
	size := s.setName(&slot.name, &m[0].To)
	if size == 0 {
		return false
	}
	h.Namelen = size
	for i := range m {
		v := &t.iovs[at+i]
		v.Base = nil
		if p := m[i].Payload; len(p) > 0 {
			v.Base = &p[0]
		}
		v.SetLen(len(m[i].Payload))
	}
	h.Iov = &t.iovs[at]
	h.SetIovlen(len(m))
	slot.messages = len(m)
	h.Control = nil
	h.SetControllen(0)
	if len(m) > 1 {
		slot.control.size = uint16(len(m[0].Payload))
		h.Control = slot.control.bytes()
		h.SetControllen(sizeofSegmentControl)
	}
	t.end++
	return true
}

// trySend sends what is loaded. False means that the send buffer is full and the poller should wait.
func (s *Socket) trySend(fd uintptr) bool {
	t := &s.tx
	for t.off < t.end {
		n, errno := sendmmsg(fd, t.headers[t.off:t.end], unix.MSG_DONTWAIT)
		switch errno {
		case 0:
			t.advance(n)
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
			if t.slots[t.off].messages > 1 && refusesRuns(errno) {
				t.errno, t.asOne = errno, true
				return true
			}
			t.tries++
			if t.tries > retries && (reaped == 0 || t.tries > maxRetries) {
				t.errno = errno
				return true
			}
		}
	}
	return true
}

// advance counts the next n headers as sent.
func (t *sender) advance(n int) {
	for i := range t.slots[t.off : t.off+n] {
		messages := t.slots[t.off+i].messages
		t.sent += messages
		if messages > 1 {
			t.merged += uint64(messages)
		}
	}
	t.off += n
	t.tries = 0
}
