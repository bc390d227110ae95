// Package appliancetest has what tests of an appliance need, in one process or in several.
package appliancetest

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Patience bounds each wait for a condition. It is no measure of speed: it only ends a test that would hang.
const Patience = time.Minute

// Systemd receives what a service tells systemd, as sd_notify(3) sends it.
type Systemd struct {
	Path string // for NOTIFY_SOCKET
	t    testing.TB
	conn *net.UnixConn
}

// NewSystemd listens until the test ends.
func NewSystemd(t testing.TB) *Systemd {
	t.Helper()
	s := &Systemd{t: t, Path: filepath.Join(t.TempDir(), "notify.sock")}
	var err error
	if s.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.Path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.conn.Close() })
	return s
}

// Close stops listening. Senders get an error from then on.
func (s *Systemd) Close() { s.conn.Close() }

// Read waits for the next message.
func (s *Systemd) Read() string {
	s.t.Helper()
	buf := make([]byte, 256)
	if err := s.conn.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		s.t.Fatal(err)
	}
	size, err := s.conn.Read(buf)
	if err != nil {
		s.t.Fatal("no message: ", err)
	}
	return string(buf[:size])
}

// Discard takes the messages that have come so far, and returns their number.
func (s *Systemd) Discard() (messages int) {
	s.t.Helper()
	raw, err := s.conn.SyscallConn()
	if err != nil {
		s.t.Fatal(err)
	}
	buf := make([]byte, 256)
	if err := raw.Control(func(fd uintptr) {
		for {
			if _, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT); err != nil {
				return
			}
			messages++
		}
	}); err != nil {
		s.t.Fatal(err)
	}
	return messages
}
