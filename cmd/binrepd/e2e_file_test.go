package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"binrepd/userspace/wire/bin1/bin1test"
)

// TestSaveAndLoad saves a table while it is in use, and loads it into another appliance in both ways.
func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	listen := freePort(t)
	d := startDaemon(t, nil, "--xdp", "off", "--listen", listen)
	conn, err := net.Dial("udp4", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fill(t, d, conn, bin1test.NewProxy(8, bin1test.Realistic(nowUnix(), 1)), 2000)
	file := filepath.Join(t.TempDir(), "saved")
	out, errs, status := command(t, nil, "save", file, "--control", d.socket)
	if status != exitDone || !strings.Contains(out, "2,000 dialogs saved") {
		t.Fatalf("save: status %d, printed %s%s", status, out, errs)
	}

	byFlag := startDaemon(t, nil, "--xdp", "off", "--listen", freePort(t), "--load", file)
	sameDialogs(t, byFlag, d)
	if got := byFlag.status(); got.Dialogs != 2000 || got.Seen != 0 {
		t.Errorf("%d dialogs, %d datagrams seen", got.Dialogs, got.Seen)
	}
	// The source of a dialog is remembered.
	origin := conn.LocalAddr().String()
	if out, _, _ := command(t, nil, "dialogs", "count", "--origin", origin, "--control", byFlag.socket); out != "2000\n" {
		t.Errorf("dialogs from %s: %s", origin, out)
	}
	byFlag.stop()

	byCommand := startDaemon(t, nil, "--xdp", "off", "--listen", freePort(t))
	for _, changed := range []string{"2,000 changed", "0 changed"} { // the second time all of it is known
		out, errs, status := command(t, nil, "load", file, "--control", byCommand.socket)
		if status != exitDone || !strings.Contains(out, changed) {
			t.Errorf("load: status %d, printed %s%s", status, out, errs)
		}
	}
	sameDialogs(t, byCommand, d)

	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	damaged := filepath.Join(t.TempDir(), "damaged")
	if err := os.WriteFile(damaged, b, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := startDaemon(t, nil, "--xdp", "off", "--listen", freePort(t))
	for _, test := range []struct{ file, want string }{
		{damaged, "damaged at byte"}, {"/nonexistent/file", "no such file"}, {"/dev/null", ""},
	} {
		_, errs, status := command(t, nil, "load", test.file, "--control", empty.socket)
		if status != exitFailed || !strings.Contains(errs, test.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("load %s: status %d, printed %s", test.file, status, errs)
		}
	}
	if n := empty.status().Dialogs; n != 0 {
		t.Errorf("a damaged file left %d dialogs", n)
	}
	_, errs, status = command(t, nil, "save", "/nonexistent/folder/file", "--control", empty.socket)
	if status != exitFailed || strings.Count(errs, "\n") != 1 {
		t.Errorf("save: status %d, printed %s", status, errs)
	}
	bad := launch(t, nil, "--xdp", "off", "--listen", freePort(t), "--load", damaged)
	bad.waited = true
	if err := bad.cmd.Wait(); err == nil || !strings.Contains(bad.log.String(), "damaged at byte") {
		t.Errorf("--load of a damaged file: %v, %s", err, bad.log.String())
	}
	for _, d := range []*daemon{d, byCommand, empty} {
		d.stop()
	}
}
