package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestFullDisk fills the disk under the state directory while packets come: all of them are applied, the trouble is in
// log and status, and when there is room again the table is saved again and the next process has it.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	bpftest.RequireKernel(t)
	disk := smallDisk(t)
	port := freePort(t)
	args := []string{"--listen", port, "--xdp", "off", "--state-dir", disk, "--save-interval", "100ms"}
	d := startDaemon(t, nil, args...)
	d.await("a save", func() bool { return d.status().State.Saves > 0 })

	ballast := filepath.Join(disk, "ballast")
	// Again and again: a save that was under way when the disk became full replaces the last one, whose room is free then.
	d.await("a save that fails", func() bool {
		fillDisk(t, ballast)
		return d.status().State.Failures > 0
	})
	conn, err := net.Dial("udp4", port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(3, bin1test.Realistic(nowUnix(), 100))
	const packets = 2000
	d.feed(conn, 0, packets, func(uint64) []byte { return proxy.Next(nil) })
	before := d.status().State.Failures
	d.await("more saves that fail", func() bool { return d.status().State.Failures > before+3 })
	st := d.status()
	if n := strings.Count(d.log.String(), "the table can't be saved; trying again"); n != 1 || !strings.Contains(st.State.Error, "no space") {
		t.Errorf("%d lines in the log, status %+v", n, st.State)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	saves := st.State.Saves
	d.await("a save of all that", func() bool { return d.status().State.Saves > saves+1 })
	if st := d.status(); st.State.Error != "" || st.State.SavedDialogs != uint64(len(listedOf(proxy))) {
		t.Errorf("status %+v", st.State)
	}
	d.kill()
	d = startDaemon(t, nil, args...)
	if diff := bin1test.DiffListed(d.listed(), listedOf(proxy)); len(diff) > 0 {
		t.Errorf("%d differences, first: %s", len(diff), diff[0])
	}
	d.stop()
}

// fillDisk appends to a file until nothing more fits.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 16; size > 0; size /= 2 {
		for err := error(nil); err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
}
