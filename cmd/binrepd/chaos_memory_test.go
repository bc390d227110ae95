package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"binrepd/bpf/bpftest"
	"binrepd/dialog"
	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1"
)

// memoryGroup is a control group with a limit of memory, of version 2 or 1, that ends with the test.
type memoryGroup struct{ dir, limit, killed, peak string }

func newMemoryGroup(t *testing.T, bytes int) memoryGroup {
	t.Helper()
	name := fmt.Sprintf("binrepd-test-%d", os.Getpid())
	var errs []error
	for _, g := range []memoryGroup{
		{"/sys/fs/cgroup", "memory.max", "memory.events", "memory.peak"},
		{"/sys/fs/cgroup/unified", "memory.max", "memory.events", "memory.peak"},
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control", "memory.max_usage_in_bytes"},
	} {
		g.dir = filepath.Join(g.dir, name)
		if err := os.Mkdir(g.dir, 0o755); err != nil {
			errs = append(errs, err)
			continue
		}
		// Where this is no control group there is no such file, and none must be made.
		if err := write(filepath.Join(g.dir, g.limit), bytes); err != nil {
			errs = append(errs, err, os.Remove(g.dir))
			continue
		}
		t.Cleanup(func() {
			var err error
			bpftest.Await(t, "the control group is empty", func() bool {
				err = os.Remove(g.dir)
				return err == nil || os.IsNotExist(err)
			})
		})
		return g
	}
	bpftest.Missing(t, "a control group with a limit of memory", errors.Join(errs...))
	return memoryGroup{}
}

// write writes a number to a file that is there.
func write(path string, n int) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(f, n)
	return errors.Join(err, f.Close())
}

// most is the most memory that was in use, 0 if the kernel doesn't tell.
func (g memoryGroup) most() int {
	b, _ := os.ReadFile(filepath.Join(g.dir, g.peak)) // since Linux 5.19
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

// kills is how often the kernel has killed in the group for memory.
func (g memoryGroup) kills(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(g.dir, g.killed))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if count, is := strings.CutPrefix(line, "oom_kill "); is {
			n, _ := strconv.Atoi(strings.TrimSpace(count))
			return n
		}
	}
	t.Fatalf("no oom_kill in %s", b)
	return 0
}

// TestMemoryGroup floods an appliance in a control group with more creations than the group has memory for. It chooses its limit
// itself, by that of the group: the kernel never kills it, new dialogs are refused and counted, and what is known is updated
// and ended as ever, while the table is saved.
func TestMemoryGroup(t *testing.T) {
	bpftest.RequireKernel(t)
	const known, room = 300, 128 << 20
	flood := uint64(9_000)
	if appliancetest.Chaos() {
		flood = 100_000
	}
	g := newMemoryGroup(t, room)
	p := newWidePair(t)
	d := prepareDaemon(t, "--listen", listenAt, "--interface", "bin0", "--xdp", "native", "--rings", "2", "--ring-size", "4MiB",
		"--replicate-queue", "4MiB", "--state-dir", t.TempDir(), "--save-interval", "200ms")
	// A shell puts itself into the group before it becomes the program: what that takes from the first moment on counts.
	args := d.cmd.Args[1:]
	d.cmd.Path = "/bin/sh"
	d.cmd.Args = append([]string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(g.dir, "cgroup.procs"), builtStatic(t)}, args...)
	p.appliance.Do(d.cmd.Start)
	d.awaitReady()
	limit := d.status().Memory.Limit
	if limit == 0 || limit > room {
		t.Fatalf("its limit is %d", limit)
	}

	conn := dial(t, p.proxy, proxyAddr+":5555", listenAt)
	sent := uint64(0)
	send := func(kind dialog.Kind, from, to uint64, state dialog.State) control.Status {
		t.Helper()
		s := d.feed(conn, sent, to-from, func(n uint64) []byte { return bigCall(kind, from+n, state) })
		sent += to - from
		return s
	}
	send(dialog.Create, 0, known, dialog.Answered)
	full := send(dialog.Create, known, known+flood, dialog.Answered)
	refused := full.Rejected["refused_memory"]
	if refused == 0 || full.Dialogs != known+flood-refused {
		t.Errorf("%d dialogs, %d refused of %d", full.Dialogs, refused, flood)
	}
	s := send(dialog.Update, 0, known, dialog.Confirmed)
	if s.Confirmed != known || s.Rejected["refused_memory"] != refused {
		t.Errorf("%d of %d confirmed, %d refused", s.Confirmed, known, s.Rejected["refused_memory"]-refused)
	}
	saves := s.State.Saves
	d.await("a save of the full table", func() bool { return d.status().State.Saves > saves+1 })
	s = send(dialog.Delete, 0, known, 0)
	if s.Dialogs != full.Dialogs-known {
		t.Errorf("%d dialogs after the end of %d of %d", s.Dialogs, known, full.Dialogs)
	}
	t.Logf("a group of %d MiB, the table at most %d MiB: of %d creations %d were refused, %d updates and as many deletions of known calls applied; at most %d MiB were in use; killed %d times",
		room>>20, limit>>20, known+flood, refused, known, g.most()>>20, g.kills(t))
	if n := g.kills(t); n > 0 {
		t.Errorf("the kernel killed %d times", n)
	}
	d.stop()
}

// bigCall is a packet of about 8 kB, for one frame of 9,000 bytes.
func bigCall(kind dialog.Kind, n uint64, state dialog.State) []byte {
	now := uint32(nowUnix())
	d := dialog.Details{
		CallID: fmt.Sprint(n, "@big.example.net"), FromTag: "f", ToTag: "t", State: state, Start: now, Timeout: now + 3600,
		Vars: "v#" + strings.Repeat("x", 8000) + "|",
	}
	if kind == dialog.Delete {
		return bin1.Append(nil, kind, d.AppendKey(nil))
	}
	return bin1.Append(nil, kind, d.AppendPacked(nil))
}
