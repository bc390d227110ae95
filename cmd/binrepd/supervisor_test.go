package main

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// notified is where a supervisor listens.
type notified struct {
	t    *testing.T
	path string
	conn *net.UnixConn
}

func newNotified(t *testing.T) *notified {
	t.Helper()
	n := &notified{t: t, path: filepath.Join(t.TempDir(), "notify.sock")}
	var err error
	if n.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: n.path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.conn.Close() })
	return n
}

// read returns the next message, for which it waits.
func (n *notified) read() string {
	n.t.Helper()
	buf := make([]byte, 256)
	if err := n.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		n.t.Fatal(err)
	}
	size, err := n.conn.Read(buf)
	if err != nil {
		n.t.Fatal("no message: ", err)
	}
	return string(buf[:size])
}

// discard takes what has come so far, and returns how many messages that was.
func (n *notified) discard() (messages int) {
	n.t.Helper()
	raw, err := n.conn.SyscallConn()
	if err != nil {
		n.t.Fatal(err)
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
		n.t.Fatal(err)
	}
	return messages
}

// TestSupervisor is systemd to a daemon: told when it is ready and when it stops, and kept informed in between.
func TestSupervisor(t *testing.T) {
	systemd := newNotified(t)
	d := prepareDaemon(t, "--listen", freePort(t), "--xdp", "off")
	d.cmd.Env = append(d.cmd.Env, "NOTIFY_SOCKET="+systemd.path, "WATCHDOG_USEC=30000")
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for !slices.Contains(said, "READY=1") || count(said, "WATCHDOG=1") < 3 {
		said = append(said, systemd.read())
	}
	d.status() // who is ready answers
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for said[len(said)-1] != "STOPPING=1" {
		said = append(said, systemd.read())
	}
	d.waited = true
	if err := d.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if n := count(said, "READY=1"); n != 1 {
		t.Errorf("ready %d times: %q", n, said)
	}
}

func count(list []string, s string) (n int) {
	for _, l := range list {
		if l == s {
			n++
		}
	}
	return n
}

// TestNoSupervisor: a bad environment is an error, none is fine.
func TestNoSupervisor(t *testing.T) {
	d := prepareDaemon(t, "--listen", freePort(t), "--xdp", "off")
	d.cmd.Env = append(d.cmd.Env, "WATCHDOG_USEC=soon")
	d.waited = true
	if err := d.cmd.Run(); err == nil || !strings.Contains(d.log.String(), "WATCHDOG_USEC") {
		t.Errorf("%v: %s", err, d.log.String())
	}
}
