package main

import (
	"bufio"
	"bytes"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"binrepd/userspace/wire/bin1/bin1test"
)

// TestClosedLog: `binrepd run 2>&1 | head -1` reads one line of the log and goes away. The daemon survives the next
// lines, counts them, and shuts down cleanly (fault 12).
func TestClosedLog(t *testing.T) {
	address, state := freePort(t), t.TempDir()
	d := prepareDaemon(t, "--listen", address, "--xdp", "off", "--state-dir", state)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stdout, d.cmd.Stderr = writer, writer
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	lines := bufio.NewScanner(reader)
	for lines.Scan() && !strings.Contains(lines.Text(), "msg=ready") {
	}
	reader.Close()

	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(1, bin1test.Realistic(time.Now().Unix(), 1))
	if _, err := conn.Write([]byte("not BIN")); err != nil { // the daemon logs the first bad packet of a kind
		t.Fatal(err)
	}
	if _, err := conn.Write(proxy.AppendPacket(nil, 1, bin1test.Create)); err != nil {
		t.Fatal(err)
	}
	s := d.settle(2)
	d.await("the count of lost lines", func() bool { s = d.status(); return s.LogLost > 0 })
	if s.Dialogs != 1 {
		t.Errorf("%d dialogs, want 1", s.Dialogs)
	}
	out, err := program(t, "status", "--control", d.socket).Output()
	if err != nil || !strings.Contains(string(out), "lines lost") {
		t.Errorf("status doesn't show the lost log: %s, %v", out, err)
	}
	d.waited = true
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
	if files, err := os.ReadDir(state); err != nil || len(files) == 0 {
		t.Errorf("no table was saved at the end: %v", err)
	}
}

// TestSyncWithClosedOutput: commands that change something finish although nobody reads their output.
func TestSyncWithClosedOutput(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, nil, "--listen", freePort(t), "--xdp", "off")
	to := startDaemon(t, nil, "--listen", freePort(t), "--xdp", "off")
	proxy := bin1test.NewProxy(1, bin1test.Realistic(time.Now().Unix(), 100))
	conn, err := net.Dial("udp", d.status().Listeners[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 100 {
		if _, err := conn.Write(proxy.AppendPacket(nil, uint64(i), bin1test.Create)); err != nil {
			t.Fatal(err)
		}
	}
	d.settle(100)
	target := netip.MustParseAddrPort(to.status().Listeners[0].Address).String()
	for _, args := range [][]string{
		{"sync", "--to", target, "--rate", "1000"},
		{"sync", "--to", target, "--rate", "1000", "--json"},
		{"save", t.TempDir() + "/saved"},
		{"allow", "add", "0.0.0.0/0"},
		{"dialogs", "ghosts", "--remove"},
	} {
		cmd := program(t, append(args, "--control", d.socket)...)
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		var errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = writer, &errs
		err = cmd.Run()
		writer.Close()
		if err != nil {
			t.Errorf("%v: %v, says %q", args, err, errs.String())
		}
	}
	to.await("the dialogs", func() bool { return to.status().Dialogs == d.status().Dialogs })
}
