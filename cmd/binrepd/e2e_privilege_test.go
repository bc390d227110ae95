package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/watch/control"
)

// nobody is a user, and a group, without any rights of its own.
const nobody = 65534

// builtFolder is where builtOnce puts what it builds. TestMain removes it.
var builtFolder string

// builtOnce builds the program for all tests. Its flags are those of make build, with which it shares what is compiled.
var builtOnce = sync.OnceValues(func() (program string, err error) {
	if builtFolder, err = os.MkdirTemp("", "binrepd-built-"); err != nil {
		return "", err
	}
	program = filepath.Join(builtFolder, "binrepd")
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return program, os.Chmod(builtFolder, 0o755)
})

// builtStatic returns the program as it is delivered, without cgo and the race detector, where any user may run it.
func builtStatic(t *testing.T) string {
	t.Helper()
	program, err := builtOnce()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// openFolder makes a folder that any user may use.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "binrepd-test-") // t.TempDir is below a folder that is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// awaitReady waits until a daemon that was started answers.
func (d *daemon) awaitReady() {
	d.t.Helper()
	d.await("an answer on the control socket", func() bool {
		_, err := d.client.Status(context.Background())
		return err == nil && strings.Contains(d.log.String(), "msg=ready")
	})
}

// threads returns, of every thread of the process, the value of a line of /proc/PID/task/TID/status.
func threads(t *testing.T, pid int, name string) (values []string) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(b), "\n") {
			if v, ok := strings.CutPrefix(line, name+":"); ok {
				values = append(values, strings.TrimSpace(v))
			}
		}
	}
	return values
}

func checkThreads(t *testing.T, pid int, name, want string) {
	t.Helper()
	for _, v := range threads(t, pid, name) {
		if v != want {
			t.Errorf("%s of a thread is %s, want %s", name, v, want)
		}
	}
}

func capSet(numbers ...int) string {
	var set uint64
	for _, n := range numbers {
		set |= 1 << n
	}
	return fmt.Sprintf("%016x", set)
}

// TestLeastPrivileges runs as nobody with exactly the capabilities that the README names, on a low port, pinned and saving: it keeps
// what it says, on every thread, and attaches again with that when the interface is deleted and made again.
func TestLeastPrivileges(t *testing.T) {
	bpftest.RequireKernel(t)
	dir, fs := openFolder(t), bpftest.FileSystem(t)
	// The mount is below a folder that is closed to other users, and bpffs lets only the owner make pins.
	pins := filepath.Join(dir, "bpf")
	if err := errors.Join(os.Mkdir(pins, 0o755), unix.Mount(fs, pins, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(pins, unix.MNT_DETACH) })
	mine := filepath.Join(pins, "mine")
	if err := errors.Join(os.Mkdir(mine, 0o700), os.Chown(mine, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	p := newPair(t)
	d := prepareDaemon(t, "--control", dir+"/control.sock", "--listen", ourAddr+":556", "--interface", "bin0", "--xdp", "native",
		"--ring-size", "1MiB", "--pin", mine, "--state-dir", dir+"/state")
	d.socket = dir + "/control.sock"
	d.client = control.NewClient(d.socket)
	d.cmd.Path = builtStatic(t)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody},
		AmbientCaps: []uintptr{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON, unix.CAP_NET_BIND_SERVICE},
	}
	p.appliance.Do(d.cmd.Start)
	d.awaitReady()
	pid := d.cmd.Process.Pid
	kept := capSet(unix.CAP_BPF, unix.CAP_NET_ADMIN)
	for _, name := range []string{"CapEff", "CapPrm"} {
		checkThreads(t, pid, name, kept)
	}
	for _, name := range []string{"CapInh", "CapAmb"} {
		checkThreads(t, pid, name, capSet())
	}
	checkThreads(t, pid, "NoNewPrivs", "1")
	checkThreads(t, pid, "Uid", strings.Join([]string{"65534", "65534", "65534", "65534"}, "\t"))

	st := d.status()
	if len(st.Privileges.Kept) != 2 || !st.Privileges.NoNewPrivileges || st.Privileges.Reason != "" || st.Privileges.Kept[0].Why == "" {
		t.Errorf("status: %+v", st.Privileges)
	}
	if !strings.Contains(d.log.String(), "privileges dropped") {
		t.Error("the log doesn't tell")
	}
	send := func(n uint64) {
		conn := dial(t, p.proxy, proxyAddr+":5555", ourAddr+":556")
		defer conn.Close()
		if _, err := conn.Write([]byte("P4CK no packet at all, but counted")); err != nil {
			t.Fatal(err)
		}
		d.settle(n)
	}
	send(1)
	p.appliance.Do(func() error {
		l, err := netlink.LinkByName("bin0")
		if err != nil {
			return err
		}
		return netlink.LinkDel(l)
	})
	d.await("the interface is gone", func() bool { return d.status().Mode == control.ModeSocket })
	p.connect()
	d.await("XDP is back", func() bool { return d.status().Mode == control.ModeNative })
	d.await("it carries traffic", func() bool { return arrives(p) })
	before := d.status().Seen
	send(before + 1)
	if l := d.status().Listeners[0]; l.Steered < 2 {
		t.Errorf("not through XDP: %+v", l)
	}
	d.stop()
	if files, _ := filepath.Glob(dir + "/state/table-*.saved"); len(files) == 0 {
		t.Error("nothing is saved")
	}
	if _, err := os.Stat(mine + "/meta"); err != nil {
		t.Error(err)
	}
}

// TestSocketsNeedNothing runs as root without XDP: afterwards it holds no capability at all.
func TestSocketsNeedNothing(t *testing.T) {
	bpftest.RequireKernel(t)
	dir := t.TempDir()
	d := prepareDaemon(t, "--listen", freePort(t), "--xdp", "off", "--state-dir", dir)
	d.cmd.Path = builtStatic(t)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.awaitReady()
	checkThreads(t, d.cmd.Process.Pid, "CapEff", capSet())
	checkThreads(t, d.cmd.Process.Pid, "CapPrm", capSet())
	d.stop()
	if _, err := os.Stat(dir + "/table-0.saved"); err != nil {
		t.Error(err)
	}
}
