package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/appliance"
	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/wire/bin1/bin1test"
)

// stuckDisk lets nobody open a file in a folder, until it is closed: the slowest disk that there is. It asks the kernel for permission
// events, fanotify(7), and answers none.
type stuckDisk struct{ fd int }

func newStuckDisk(t *testing.T, dir string) *stuckDisk {
	t.Helper()
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY)
	if err != nil {
		bpftest.Missing(t, "permission events of fanotify", err)
	}
	s := &stuckDisk{fd}
	t.Cleanup(s.close)
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD, unix.FAN_OPEN_PERM|unix.FAN_EVENT_ON_CHILD, unix.AT_FDCWD, dir); err != nil {
		t.Fatal(err)
	}
	return s
}

// waiting tells whether somebody waits for a file.
func (s *stuckDisk) waiting() bool {
	n, _ := unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}, 0)
	return n > 0
}

// close lets everybody go on.
func (s *stuckDisk) close() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
		s.fd = -1
	}
}

// stuckLog is a pipe that nobody reads any more, and that is full.
type stuckLog struct{ read, write *os.File }

// fill writes until nothing more fits.
func (l *stuckLog) fill(t *testing.T) {
	t.Helper()
	// A description of its own: the daemon's end must go on blocking.
	full, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", l.write.Fd()), os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for size := 1 << 16; size > 0; size /= 2 {
		for {
			if _, err := unix.Write(int(full.Fd()), bytes.Repeat([]byte("\n"), size)); err != nil {
				break
			}
		}
	}
}

// TestStuckSurroundings blocks everything around the path of packets at the same time: a client that asked for the list of dialogs and
// reads nothing, a log that nobody takes, and a disk that answers no request of a save. Packets are applied all the same, all of them;
// when the blockade ends, all goes on where it stood.
func TestStuckSurroundings(t *testing.T) {
	t.Parallel()
	bpftest.RequireKernel(t)
	events := uint64(3_000)
	if appliancetest.Chaos() {
		events = 200_000
	}
	for _, mode := range []string{appliance.XDPNative, appliance.XDPOff} {
		t.Run(mode, func(t *testing.T) {
			p := newPair(t)
			states := t.TempDir()
			var log stuckLog
			var err error
			if log.read, log.write, err = os.Pipe(); err != nil {
				t.Fatal(err)
			}
			defer log.read.Close()
			defer log.write.Close()
			d := prepareDaemon(t, "--listen", listenAt, "--interface", "bin0", "--xdp", mode, "--rings", "1", "--ring-size", "1MiB",
				"--state-dir", states, "--save-interval", "100ms")
			d.cmd.Stderr = log.write
			p.appliance.Do(d.cmd.Start)
			begun := make([]byte, 0, 1<<16)
			for !strings.Contains(string(begun), "msg=ready") {
				n, err := log.read.Read(begun[len(begun):cap(begun)])
				if err != nil {
					t.Fatal(err)
				}
				begun = begun[:len(begun)+n]
			}
			conn := dial(t, p.proxy, proxyAddr+":5555", listenAt)
			proxy := bin1test.NewProxy(81, bin1test.Options{Now: nowUnix(), Calls: 2000})
			sent := uint64(0)
			send := func(n uint64) {
				t.Helper()
				d.feed(conn, sent, n, func(uint64) []byte { return proxy.Next(nil) })
				sent += n
			}
			send(4000)

			disk := newStuckDisk(t, states)
			d.await("a save that hangs", disk.waiting)
			client, err := net.Dial("unix", d.socket)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if _, err := client.Write([]byte("GET /v1/dialogs HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			log.fill(t)
			// The first of a kind is worth a line in the log.
			for _, bad := range []string{"not BIN at all, but long enough", "P4CK with a checksum that is wrong", "short"} {
				if _, err := conn.Write([]byte(bad)); err != nil {
					t.Fatal(err)
				}
				sent++
			}
			d.settle(sent)
			saves := d.status().State.Saves
			send(events)
			st := d.status()
			if st.State.Saves != saves || !disk.waiting() {
				t.Error("a save was made: the disk was not stuck")
			}
			if diff := bin1test.DiffListed(d.listed(), listedOf(proxy)); len(diff) > 0 {
				t.Errorf("%d differences, first: %s", len(diff), diff[0])
			}
			t.Logf("%s: with a client, the log and the disk stuck %d events were applied, and %d of %d were lost", mode, events, sum(st.Lost), st.Seen)

			disk.close()
			client.Close()
			drain(t, &log)
			d.await("a save", func() bool { return d.status().State.Saves > saves })
			d.waited = true
			go func() { _, _ = log.read.WriteTo(&d.log) }()
			if err := errors.Join(d.cmd.Process.Signal(unix.SIGTERM), d.cmd.Wait()); err != nil {
				t.Error(err)
			}
			log.write.Close()
		})
	}
}

// drain reads what was written to the log, up to the first warning, which waited for room. Lines of the start may stand before it.
func drain(t *testing.T, l *stuckLog) {
	t.Helper()
	text, buffer := "", make([]byte, 1<<17)
	for !strings.Contains(text, "level=WARN") {
		n, err := l.read.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		text += strings.Trim(string(buffer[:n]), "\n")
	}
}
