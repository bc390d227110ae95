package main

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"binrepd/userspace/control"
)

// TestSupervisor is systemd to a daemon: told when it is ready and when it stops, and kept informed in between.
func TestSupervisor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify.sock")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	read := func() string {
		t.Helper()
		buf := make([]byte, 256)
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal("no message:", err)
		}
		return string(buf[:n])
	}

	d := prepareDaemon(t, "--listen", freePort(t), "--xdp", "off")
	d.cmd.Env = append(d.cmd.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=30000")
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for !slices.Contains(said, "READY=1") || count(said, "WATCHDOG=1") < 3 {
		said = append(said, read())
	}
	d.status() // who is ready answers
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for said[len(said)-1] != "STOPPING=1" {
		said = append(said, read())
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

func TestStuck(t *testing.T) {
	at := func(records, fill uint64) control.RingStatus { return control.RingStatus{Records: records, Fill: fill} }
	for _, test := range []struct {
		name        string
		before, now []control.RingStatus
		want        int
	}{
		{"no rings", nil, nil, -1},
		{"the first look", nil, []control.RingStatus{at(5, 100)}, -1},
		{"idle", []control.RingStatus{at(5, 0)}, []control.RingStatus{at(5, 0)}, -1},
		{"busy", []control.RingStatus{at(5, 100)}, []control.RingStatus{at(6, 100)}, -1},
		{"just arrived", []control.RingStatus{at(5, 0)}, []control.RingStatus{at(5, 100)}, -1},
		{"just read", []control.RingStatus{at(5, 100)}, []control.RingStatus{at(5, 0)}, -1},
		{"one of two", []control.RingStatus{at(5, 100), at(7, 10)}, []control.RingStatus{at(9, 100), at(7, 10)}, 1},
	} {
		if got := stuck(test.before, test.now); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}
