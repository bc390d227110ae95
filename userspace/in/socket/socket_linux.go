//go:build !portable

package socket

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// platform is the part of a Socket that depends on the system.
type platform struct {
	raw     syscall.RawConn
	ip4     bool
	stopped atomic.Bool
	granted int // bytes of receive buffer
	rx      receiver
	tx      sender
	reaper  reaper
	kernel  kernelCounts
}

// configure sets the options of a socket that is not bound yet.
func (s *Socket) configure(raw syscall.RawConn, ip4, receives bool) error {
	s.ip4 = ip4
	var err error
	if ctl := raw.Control(func(fd uintptr) { err = s.setOptions(int(fd), receives) }); ctl != nil {
		return ctl
	}
	return err
}

func (s *Socket) setOptions(fd int, receives bool) error {
	if receives {
		if err := setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, s.cfg.ReceiveBuffer); err != nil {
			return fmt.Errorf("receive buffer: %w", err)
		}
		// The kernel's time of receipt with each datagram. Without it (kernels before 5.1) the time of Receive
		// has to do.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 1)
	}
	if err := setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, s.cfg.SendBuffer); err != nil {
		return fmt.Errorf("send buffer: %w", err)
	}
	size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return fmt.Errorf("receive buffer: %w", err)
	}
	s.granted = size / 2 // the kernel doubles what is asked for, see socket(7)

	// Messages longer than the path's MTU must arrive. So the kernel may fragment them and sets no "don't
	// fragment": discovering the MTU would cost the messages that discover it, and nobody sends them again.
	level, mtu, recverr := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_RECVERR
	if !s.ip4 {
		level, mtu, recverr = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_RECVERR
	}
	if err := unix.SetsockoptInt(fd, level, mtu, unix.IP_PMTUDISC_DONT); err != nil {
		return fmt.Errorf("fragmentation: %w", err)
	}
	// Without this an unconnected socket never learns that a destination refuses.
	if err := unix.SetsockoptInt(fd, level, recverr, 1); err != nil {
		return fmt.Errorf("error queue: %w", err)
	}
	return nil
}

// setBuffer sets a buffer's size past the system's limit where the process may (CAP_NET_ADMIN), and up to that
// limit otherwise.
func setBuffer(fd, force, option, size int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, size)
	if errors.Is(err, unix.EPERM) {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, size)
	}
	return err
}

func (s *Socket) prepare(receives bool) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	s.raw = raw
	s.reaper.init()
	s.tx.init(s)
	if receives {
		s.rx.init(s)
	}
	return nil
}

// ReceiveBuffer returns how many bytes of receive buffer the kernel granted and whether that is less than was
// asked for; then the sysctl net.core.rmem_max is in the way, and the process lacks CAP_NET_ADMIN.
func (s *Socket) ReceiveBuffer() (bytes int, clipped bool) {
	return s.granted, s.granted < s.cfg.ReceiveBuffer
}

// refuseAll is a socket filter that takes no byte of any datagram.
var refuseAll = unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}

// Stop makes the socket refuse what arrives from now on and wakes Receive.
func (s *Socket) Stop() {
	s.stop.Do(func() {
		_ = s.raw.Control(func(fd uintptr) {
			filter := refuseAll
			// Should the filter be refused (no memory), Receive ends when it finds the buffer empty once.
			_ = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
				&unix.SockFprog{Len: 1, Filter: &filter})
			// What the filter refuses counts as dropped in the kernel. It is no loss: this is the final count.
			s.kernel.freeze(int(fd))
		})
		s.stopped.Store(true)
		_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // long ago: wakes a waiting Receive
	})
}

// kernelCounts is what the kernel knows about a socket. Its count of drops has 32 bits; total goes on
// past them, provided that it is read more than once in 2^32 drops.
type kernelCounts struct {
	mu      sync.Mutex
	last    uint32
	total   uint64
	waiting uint64
	frozen  bool
}

func (k *kernelCounts) read(fd int) {
	k.mu.Lock() // around the reading, too: an older count after a newer one would look like a wrap
	defer k.mu.Unlock()
	var info [unix.SK_MEMINFO_VARS]uint32
	if getMeminfo(fd, &info) != 0 {
		return
	}
	k.waiting = uint64(info[unix.SK_MEMINFO_RMEM_ALLOC])
	k.advanceLocked(info[unix.SK_MEMINFO_DROPS])
}

func (k *kernelCounts) advanceLocked(drops uint32) {
	if k.frozen {
		return
	}
	k.total += uint64(drops - k.last) // right across a wrap
	k.last = drops
}

// freeze makes the count of drops final.
func (k *kernelCounts) freeze(fd int) {
	k.read(fd)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.frozen = true
}

func (s *Socket) kernelCounts() (dropped, waiting uint64) {
	k := &s.kernel
	closed := s.raw.Control(func(fd uintptr) { k.read(int(fd)) }) != nil
	k.mu.Lock()
	defer k.mu.Unlock()
	if closed {
		k.waiting = 0
	}
	return k.total, k.waiting
}
