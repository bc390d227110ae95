package ring

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// poller sleeps until the kernel wakes the ring, or wake is called.
type poller struct {
	epoll, event int
	events       [2]unix.EpollEvent // a field, because wait must not allocate
	timeout      unix.Timespec      // of nap
}

// newPoller watches the ring buffer fd. It doesn't own fd.
func newPoller(fd int) (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("eventfd: %w", err), unix.Close(epoll))
	}
	p := &poller{epoll: epoll, event: event}
	// The ring is watched edge-triggered. Level-triggered, epoll would check the ring again at each wait after a
	// wake-up. That costs time and would hide a defect of the sleep flag from the tests. A wake-up between two waits is
	// an edge as well.
	err = errors.Join(p.add(fd, unix.EPOLLIN|unix.EPOLLET), p.add(event, unix.EPOLLIN))
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *poller) add(fd int, events uint32) error {
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// wait sleeps for at most timeout and reports whether it was woken.
func (p *poller) wait(timeout time.Duration) (bool, error) {
	n, err := unix.EpollWait(p.epoll, p.events[:], int(timeout.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("epoll: %w", err)
	}
	return n > 0 || err != nil, nil // a signal counts as a wake-up
}

// wake ends the current wait and every later one. It may be called from any goroutine.
func (p *poller) wake() error {
	one := [8]byte{1}
	if _, err := unix.Write(p.event, one[:]); err != nil && !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("eventfd: %w", err)
	}
	return nil
}

func (p *poller) close() error {
	return errors.Join(unix.Close(p.event), unix.Close(p.epoll))
}
