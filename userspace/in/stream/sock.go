package stream

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// errDrained is the end of reading after Stop: all that the socket held at that moment has been read.
var errDrained = errors.New("all that had arrived has been read")

// sock is a TCP connection of which Read waits for the peer, or, once drain was called, does not wait any more. Its
// Read allocates nothing: the function that the poller calls is made once.
type sock struct {
	*net.TCPConn
	raw syscall.RawConn

	try func(fd uintptr) bool
	// What try works on. They belong to the goroutine that reads.
	buf     []byte
	peek    bool
	n       int
	err     error
	drained bool // drain was called
	left    int  // bytes that may still be read after that
}

func newSock(c *net.TCPConn) (*sock, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &sock{TCPConn: c, raw: raw}
	s.try = s.tryRead
	return s, nil
}

// tryRead reads once, and returns false if there is nothing yet.
func (s *sock) tryRead(fd uintptr) bool {
	for {
		if s.peek {
			s.n, _, s.err = syscall.Recvfrom(int(fd), s.buf, syscall.MSG_PEEK)
		} else {
			s.n, s.err = syscall.Read(int(fd), s.buf)
		}
		switch s.err {
		case nil:
			return true
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			if s.drained {
				s.n, s.err = 0, errDrained
				return true
			}
			return false
		}
		s.n = max(s.n, 0)
		return true
	}
}

// Read implements io.Reader.
func (s *sock) Read(b []byte) (int, error) {
	if s.drained {
		if s.left <= 0 {
			return 0, errDrained
		}
		b = b[:min(len(b), s.left)]
	}
	n, err := s.do(b, false)
	s.left -= n
	return n, err
}

// wait returns when there is something to read, the end of the stream included.
func (s *sock) wait(one []byte) error {
	if s.drained && s.left <= 0 {
		return errDrained
	}
	_, err := s.do(one[:1], true)
	if err == io.EOF {
		return nil
	}
	return err
}

func (s *sock) do(b []byte, peek bool) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	s.buf, s.peek = b, peek
	err := s.raw.Read(s.try)
	s.buf = nil
	if err != nil {
		return 0, err
	}
	if errno, ok := s.err.(syscall.Errno); ok {
		return 0, os.NewSyscallError("read", errno)
	}
	if s.err != nil {
		return 0, s.err
	}
	if s.n == 0 {
		return 0, io.EOF
	}
	return s.n, nil
}

// drain makes Read deliver what the socket holds now, and nothing that comes later.
func (s *sock) drain() {
	s.drained = true
	s.left = arrived(s.raw)
	s.SetReadDeadline(time.Time{})
}

// refuse closes a connection so that the peer sees a reset, and the system keeps nothing of it.
func refuse(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}
