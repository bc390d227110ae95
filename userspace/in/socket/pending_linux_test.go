//go:build !portable

package socket

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"binrepd/userspace/in/packets"
)

// control runs f with the descriptor of s, behind the back of s.
func control(t *testing.T, s *Socket, f func(fd int)) {
	t.Helper()
	if err := s.raw.Control(func(fd uintptr) { f(int(fd)) }); err != nil {
		t.Fatal(err)
	}
}

// TestManyErrorsWait fills the error queue past what one call reads. Its errors are about messages that were sent
// without Send, which would have read them in between.
func TestManyErrorsWait(t *testing.T) {
	const n = 3*reapBatch + 1
	var told int
	var each uint64 // bytes of receive buffer that an error takes while it waits
	s := newSender(t, loopback4, Config{})
	s.Watch(func(packets.Endpoint, error) { told++ })
	dead := deadEndpoint(t, loopback4).AddrPort()
	control(t, s, func(fd int) {
		to := &unix.SockaddrInet4{Addr: dead.Addr().As4(), Port: int(dead.Port())}
		for sent := 0; sent < n; {
			switch err := unix.Sendto(fd, []byte("x"), 0, to); {
			case err == nil:
				sent++
				for end := time.Now().Add(patience); each == 0 && time.Now().Before(end); {
					each = s.Stats().Waiting
				}
			case !errors.Is(err, unix.ECONNREFUSED): // that is about the message before
				t.Error(err)
				return
			}
		}
	})
	for end := time.Now().Add(patience); s.Stats().Waiting < n*each && time.Now().Before(end); {
	}
	if reaped := s.Poll(); reaped != n || told != n {
		t.Errorf("%d errors reaped, %d told, want %d", reaped, told, n)
	}
}

// TestErrorWhoseCauseIsGone has an error pending that the error queue says nothing of, as when another goroutine
// has just read it. A connected socket that didn't ask for the queue makes one.
func TestErrorWhoseCauseIsGone(t *testing.T) {
	s := newSender(t, loopback4, Config{})
	live := listen(t, loopback4, Config{})
	dead := deadEndpoint(t, loopback4).AddrPort()
	control(t, s, func(fd int) {
		err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrInet4{Addr: dead.Addr().As4(), Port: int(dead.Port())})
		}
		if err == nil {
			err = unix.Send(fd, []byte("x"), 0)
		}
		// The error that comes of it is pending as soon as poll says so.
		fds := []unix.PollFd{{Fd: int32(fd)}}
		if err == nil {
			_, err = unix.Poll(fds, int(patience.Milliseconds()))
		}
		if err != nil || fds[0].Revents&unix.POLLERR == 0 {
			t.Errorf("no error is pending: %v, events %#x", err, fds[0].Revents)
		}
	})
	send(t, s, endpoint(live), []byte("not your error"))
	if d := collect(t, live, 1, 1)[0]; string(d.Payload) != "not your error" {
		t.Errorf("got %q", d.Payload)
	}
	if st := s.Stats(); st.SendErrors != (ErrorCounts{}) {
		t.Errorf("stats %+v", st)
	}
}

// TestReceiveEndsOnFinalError makes the descriptor something that can't be received from: that must end Receive with the
// reason, not make it spin.
func TestReceiveEndsOnFinalError(t *testing.T) {
	s := listen(t, loopback4, Config{})
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	control(t, s, func(fd int) {
		if err := unix.Dup3(pipe[0], fd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	})
	if err := s.Receive(packets.NewBatch(1)); !errors.Is(err, syscall.ENOTSOCK) {
		t.Errorf("Receive: %v, want %v", err, syscall.ENOTSOCK)
	}
}
