package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestSocketsWithoutPrivilege needs no kernel feature at all: it is what an ordinary user gets.
func TestSocketsWithoutPrivilege(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	d := startDaemon(t, nil, "--listen", port, "--xdp", "off")
	conn, err := net.Dial("udp4", port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(9, bin1test.Realistic(nowUnix(), 50))
	const packets = 1000
	d.feed(conn, 0, packets, func(uint64) []byte { return proxy.Next(nil) })
	if diff := bin1test.DiffListed(d.listed(), listedOf(proxy)); len(diff) > 0 {
		t.Errorf("%d differences, first: %s", len(diff), diff[0])
	}
	out, err := program(t, "dialogs", "count", "--control", d.socket).Output()
	if err != nil || strings.TrimSpace(string(out)) != "50" {
		t.Errorf("count prints %q, error %v; want 50", out, err)
	}
	one := proxy.LiveDetails()[0]
	out, err = program(t, "dialogs", "get", one.CallID, "--json", "--control", d.socket).Output()
	if got := decodeLines(t, out); err != nil || len(got) != 1 || got[0]["callid"] != one.CallID {
		t.Errorf("get prints %s, error %v", out, err)
	}
	out, err = program(t, "status", "--control", d.socket).Output()
	if err != nil || !strings.Contains(string(out), "1000 seen = 1000 applied") {
		t.Errorf("status prints %s, error %v", out, err)
	}
	out, err = program(t, "dialogs", "list", "--wide", "--control", d.socket, "--limit", "3").Output()
	if err != nil || strings.Count(string(out), "\n") != 4 || !strings.HasPrefix(string(out), "CALL-ID") {
		t.Errorf("list prints %s, error %v", out, err)
	}
	d.stop()
}

// freePort is an address that nobody has. Its port is none that the kernel gives to those who ask for any, of which other tests are many at
// the same time: those begin at 32768, unless the host has another net.ipv4.ip_local_port_range.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		at := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_768))
		if l, err := net.ListenPacket("udp4", at); err == nil {
			l.Close()
			return at
		} else if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
}

// TestStartFailures: each gives one line that says what is wrong, and the right exit status.
func TestStartFailures(t *testing.T) {
	t.Parallel()
	taken, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		name   string
		args   []string
		status int
		want   []string
	}{
		{"port in use", []string{"--xdp", "off", "--listen", taken.LocalAddr().String()}, exitFailed, []string{taken.LocalAddr().String(), "in use"}},
		{"no such interface", []string{"--listen", "127.0.0.1:5556", "--interface", "nowhere9"}, exitFailed, []string{"nowhere9", "no such interface", "lo"}},
		{"address not on the host", []string{"--listen", "192.0.2.77:5556"}, exitFailed, []string{"192.0.2.77", "no interface"}},
		{"bad ring size", []string{"--listen", "127.0.0.1:5556", "--ring-size", "60MiB"}, exitUsage, []string{"--ring-size", "32", "64"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := launch(t, nil, test.args...)
			d.waited = true
			_ = d.cmd.Wait()
			if got := d.cmd.ProcessState.ExitCode(); got != test.status {
				t.Errorf("exit status %d, want %d", got, test.status)
			}
			lines := strings.Split(strings.TrimSpace(d.log.String()), "\n")
			last := lines[len(lines)-1]
			if len(lines) != 1 || !strings.HasPrefix(last, "binrepd: ") {
				t.Errorf("not one line: %q", lines)
			}
			for _, want := range test.want {
				if !strings.Contains(last, want) {
					t.Errorf("%q doesn't say %q", last, want)
				}
			}
		})
	}
}

// TestNoPrivilege starts the program as a user without any capability.
func TestNoPrivilege(t *testing.T) {
	bpftest.RequireKernel(t)
	dir, err := os.MkdirTemp("", "binrepd-test-") // t.TempDir is below a folder that is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t}
	d.cmd = program(t, "run", "--control", dir+"/control.sock", "--listen", freePort(t),
		"--interface", "lo", "--xdp", "native", "--ring-size", "1MiB", "--metrics", "off")
	d.cmd.Path = copyOfSelf(t, dir)
	d.cmd.Stderr = &d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	var exit *exec.ExitError
	if err := d.cmd.Run(); !errors.As(err, &exit) {
		t.Fatalf("run: %v", err)
	}
	if log := d.log.String(); d.cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(log, "CAP_BPF") {
		t.Errorf("exit status %d, log: %s", d.cmd.ProcessState.ExitCode(), log)
	}
}

// copyOfSelf puts the test binary where any user may execute it.
func copyOfSelf(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := dir + "/binrepd.test"
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
