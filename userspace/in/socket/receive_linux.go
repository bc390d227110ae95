//go:build !portable

package socket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"binrepd/userspace/in/packets"
)

const (
	// meminfoEvery is how many batches lie between two readings of the kernel's 32-bit count of drops: often
	// enough never to miss a wrap, even if each batch takes 100 ms and 10 million datagrams a second are dropped.
	meminfoEvery = 1024
	// pollTimeout bounds one wait, in ms, when Go's poller can't be used; see receiveUnpolled.
	pollTimeout = 10
	// slotAlign begins each slot on a page of its own, so that a datagram touches as few as it can. (Slots at
	// multiples of 64 KiB begin in the same cache sets; staggering them gained nothing measurable.)
	slotAlign = 4096
)

// receiver holds what recvmmsg writes. Only the goroutine in Receive uses it.
//
// The arena has room for the longest datagram in each slot, 8 MiB of addresses for a batch of 128. The system
// provides only the pages that are written: one for each slot with datagrams up to 4 KiB, 512 KiB in all. It is
// an ordinary slice rather than a mapping, so that a view kept too long shows wrong bytes but never faults.
type receiver struct {
	arena   []byte
	stride  int
	slots   []receiveSlot
	headers []unix.Mmsghdr

	read  func(fd uintptr) bool // tryReceive, bound once: a closure for each call would be allocated
	poll  func(fd uintptr)      // receiveUnpolled
	drain func(fd uintptr)      // receiveNow
	want  int                   // how many datagrams the batch has room for
	got   int                   // how many came
	fatal error                 // set when the socket can't be read
	calls uint64
	_     [128]byte // the sender, which other goroutines write, is next in memory
}

// receiveSlot is what belongs to one message beside its payload.
type receiveSlot struct {
	iov     unix.Iovec
	control timeControl
	name    [unix.SizeofSockaddrInet6]byte
}

func (r *receiver) init(s *Socket) {
	n := s.cfg.Batch
	r.stride = (s.cfg.MaxDatagram + slotAlign - 1) / slotAlign * slotAlign
	r.arena = make([]byte, n*r.stride)
	r.slots = make([]receiveSlot, n)
	r.headers = make([]unix.Mmsghdr, n)
	for i := range r.headers {
		slot, h := &r.slots[i], &r.headers[i].Hdr
		slot.iov.Base = &r.arena[i*r.stride]
		slot.iov.SetLen(s.cfg.MaxDatagram)
		h.Iov = &slot.iov
		h.SetIovlen(1)
		h.Name = &slot.name[0]
		h.Control = slot.control.bytes()
		r.reset(i)
	}
	r.read, r.poll, r.drain = s.tryReceive, s.receiveUnpolled, s.receiveNow
}

// reset restores what the kernel overwrites in a header.
func (r *receiver) reset(i int) {
	h := &r.headers[i].Hdr
	h.Namelen = unix.SizeofSockaddrInet6
	h.SetControllen(sizeofTimeControl)
}

// Receive fills b with what has arrived and waits if nothing has. See packets.Source.
func (s *Socket) Receive(b *packets.Batch) error {
	b.Packets = b.Packets[:0]
	r := &s.rx
	if r.slots == nil {
		return net.ErrClosed // a sender
	}
	r.want = min(cap(b.Packets), len(r.slots))
	if r.want == 0 {
		return errNoRoom
	}
	for {
		if err := s.await(); err != nil {
			return err
		}
		if s.deliver(b); len(b.Packets) > 0 {
			return nil
		}
	}
}

// await returns with r.got set, or with the final error.
func (s *Socket) await() error {
	r := &s.rx
	r.got, r.fatal = 0, nil
	stopped := s.stopped.Load()
	var err error
	if stopped {
		err = s.raw.Control(r.drain)
	} else if err = s.raw.Read(r.read); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		err = s.raw.Control(r.poll)
	}
	switch {
	case r.fatal != nil:
		return r.fatal
	case r.got > 0:
		return nil
	case stopped, errors.Is(err, net.ErrClosed):
		return net.ErrClosed
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("receive on %s: %w", s.local, err)
	}
	return nil // stopped just now, or nothing came within one poll: look again
}

// maxFruitless is how often a receive is repeated at once after an error that no report explains.
const maxFruitless = 100

// tryReceive reads what there is. False means that there is nothing and the poller should wait.
func (s *Socket) tryReceive(fd uintptr) bool {
	r := &s.rx
	r.calls++
	s.rcv.reads.Store(r.calls)
	if r.calls%meminfoEvery == 0 {
		s.kernel.read(int(fd))
	}
	for fruitless := 0; ; {
		n, errno := recvmmsg(fd, r.headers[:r.want], unix.MSG_DONTWAIT)
		switch errno {
		case 0:
			r.got = n
			return true
		case unix.EAGAIN:
			return false
		case unix.EINTR:
		case unix.EBADF, unix.ENOTSOCK, unix.EINVAL, unix.EFAULT, unix.ENOSYS, unix.EPERM:
			r.fatal = fmt.Errorf("receive on %s: %w", s.local, errno)
			return true
		default:
			// An error about a message sent earlier. Reporting it has cleared it, and no datagram was
			// taken from the queue. An error behind which there is no report does not go away by asking again.
			if s.reap(fd) == 0 {
				if fruitless++; fruitless > maxFruitless {
					r.fatal = fmt.Errorf("receive on %s: %w", s.local, errno)
					return true
				}
			}
		}
	}
}

func (s *Socket) receiveNow(fd uintptr) { s.tryReceive(fd) }

// receiveUnpolled waits without Go's poller, for a short time. The poller refuses a descriptor whose last event was
// an error and nothing else, which a socket reports when a message was refused while its send
// buffer is full, and goes on refusing until the next event.
func (s *Socket) receiveUnpolled(fd uintptr) {
	if s.tryReceive(fd) {
		return
	}
	s.reap(fd) // else poll returns at once
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, pollTimeout)
	s.tryReceive(fd)
}

// deliver puts the messages read into b.
func (s *Socket) deliver(b *packets.Batch) {
	r := &s.rx
	if r.got == 0 {
		return
	}
	var bytes, truncated uint64
	var now int64 // read at most once
	for i := range r.got {
		h, slot := &r.headers[i], &r.slots[i]
		received, ok := slot.control.time(uint64(h.Hdr.Controllen))
		if !ok {
			if now == 0 {
				now = time.Now().UnixNano()
			}
			received = now
		}
		cut := h.Hdr.Flags&unix.MSG_TRUNC != 0
		r.reset(i)
		if cut {
			truncated++
			continue
		}
		start, n := i*r.stride, int(h.Len)
		payload := r.arena[start : start+n : start+n]
		source := s.endpoint(&slot.name)
		if !s.admit(source) {
			continue
		}
		b.Packets = append(b.Packets, packets.Packet{
			Payload:  payload,
			Sender:   packets.Sender{Endpoint: source},
			Intake:   s.cfg.Intake,
			Hash:     s.cfg.Steering.Hash(payload, source),
			Received: received,
		})
		bytes += uint64(n)
	}
	s.rcv.truncated.Add(truncated)
	s.rcv.datagrams.Add(uint64(len(b.Packets)))
	s.rcv.bytes.Add(bytes)
	s.rcv.batches.Add(1)
}

// Release clears b. The arena behind its payloads is written again by the next Receive.
func (s *Socket) Release(b *packets.Batch) {
	clear(b.Packets) // so that use after release meets no bytes rather than another datagram's
	b.Packets = b.Packets[:0]
}

// A socket address begins with its family; the port is at offset 2, the address at 4 (sockaddr_in) or 8
// (sockaddr_in6, behind the flow label), both in network byte order.
const (
	portOffset  = 2
	addr4Offset = 4
	addr6Offset = 8
)

func (s *Socket) endpoint(name *[unix.SizeofSockaddrInet6]byte) (e packets.Endpoint) {
	e.Port = binary.BigEndian.Uint16(name[portOffset:])
	if s.ip4 {
		e.Addr[10], e.Addr[11] = 0xff, 0xff
		copy(e.Addr[12:], name[addr4Offset:addr4Offset+4])
		return e
	}
	copy(e.Addr[:], name[addr6Offset:addr6Offset+16])
	return e
}

// setName writes e as the socket address of this socket's family and returns its size, or 0 for an
// endpoint of the other family.
func (s *Socket) setName(name *[unix.SizeofSockaddrInet6]byte, e *packets.Endpoint) uint32 {
	mapped := [12]byte{10: 0xff, 11: 0xff}
	if s.ip4 != ([12]byte(e.Addr[:12]) == mapped) {
		return 0
	}
	binary.BigEndian.PutUint16(name[portOffset:], e.Port)
	if s.ip4 {
		binary.NativeEndian.PutUint16(name[:], unix.AF_INET)
		copy(name[addr4Offset:], e.Addr[12:])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(name[:], unix.AF_INET6)
	copy(name[addr6Offset:], e.Addr[:])
	return unix.SizeofSockaddrInet6
}
