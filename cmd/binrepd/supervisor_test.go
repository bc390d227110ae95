package main

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"binrepd/userspace/appliance/appliancetest"
)

// TestSupervisor: the daemon tells systemd when it is ready and when it stops, and gives signs of life in between.
func TestSupervisor(t *testing.T) {
	systemd := appliancetest.NewSystemd(t)
	d := prepareDaemon(t, "--listen", freePort(t), "--xdp", "off")
	d.cmd.Env = append(d.cmd.Env, "NOTIFY_SOCKET="+systemd.Path, "WATCHDOG_USEC=30000")
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for !slices.Contains(said, "READY=1") || count(said, "WATCHDOG=1") < 3 {
		said = append(said, systemd.Read())
	}
	d.status() // a ready daemon answers
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for said[len(said)-1] != "STOPPING=1" {
		said = append(said, systemd.Read())
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

// TestWrongSupervisor: a wrong environment is an error.
func TestWrongSupervisor(t *testing.T) {
	d := prepareDaemon(t, "--listen", freePort(t), "--xdp", "off")
	d.cmd.Env = append(d.cmd.Env, "WATCHDOG_USEC=soon")
	d.waited = true
	if err := d.cmd.Run(); err == nil || !strings.Contains(d.log.String(), "WATCHDOG_USEC") {
		t.Errorf("%v: %s", err, d.log.String())
	}
}
