package main

import (
	"net"
	"strings"
	"testing"

	"binrepd/dialog"
	"binrepd/userspace/wire/bin1"
)

// TestGhosts lists a call that has come past its timeout, which the grace still keeps, and removes it, here and at the backup.
func TestGhosts(t *testing.T) {
	t.Parallel()
	backupAt, at := freePort(t), freePort(t)
	backup := startDaemon(t, nil, "--listen", backupAt, "--xdp", "off", "--expiry-grace", "24h")
	d := startDaemon(t, nil, "--listen", at, "--xdp", "off", "--expiry-grace", "24h", "--replicate-to", backupAt)
	conn, err := net.Dial("udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	now := uint32(nowUnix())
	for _, c := range []struct {
		callID  string
		timeout uint32
	}{{"alive", now + 3600}, {"ghost", now + 2}} {
		dlg := dialog.Details{
			CallID: c.callID, FromTag: "a", ToTag: "b", State: dialog.Confirmed, Start: now - 1000, Timeout: c.timeout,
			CallerSocket: "udp:192.0.2.1:5060", CalleeSocket: "udp:192.0.2.1:5060",
		}
		if _, err := conn.Write(bin1.Append(nil, dialog.Create, dlg.AppendPacked(nil))); err != nil {
			t.Fatal(err)
		}
	}
	d.settle(2)
	backup.settle(2)
	d.await("the timeout of the ghost", func() bool { return uint32(nowUnix()) > now+2 })
	out, stderr, status := command(t, nil, "dialogs", "ghosts", "--control", d.socket)
	if status != exitDone || !strings.Contains(out, "ghost ") || strings.Contains(out, "alive") ||
		!strings.Contains(out, "1 suspects among 2 dialogs") || !strings.Contains(out, "none removed") {
		t.Errorf("status %d, %s%s", status, out, stderr)
	}
	if s := d.status(); s.Dialogs != 2 || s.Expired.Ghosts != 0 {
		t.Errorf("a dry run left %d dialogs", s.Dialogs)
	}
	out, stderr, status = command(t, nil, "dialogs", "ghosts", "--remove", "--json", "--control", d.socket)
	lines := decodeLines(t, []byte(out))
	if status != exitDone || len(lines) != 2 || lines[0]["callid"] != "ghost" || lines[0]["removed"] != true || lines[1]["removed"] != 1.0 {
		t.Errorf("status %d, %s%s", status, out, stderr)
	}
	if s := d.status(); s.Dialogs != 1 || s.Expired.Ghosts != 1 || s.Seen != 2 || s.Sum() != 2 {
		t.Errorf("%d dialogs, %+v, %+v", s.Dialogs, s.Expired, s.Account)
	}
	if s := backup.settle(3); s.Dialogs != 1 || s.DeleteRecv != 1 {
		t.Errorf("at the backup: %d dialogs, %+v", s.Dialogs, s.Account)
	}
	if _, stderr, status := command(t, nil, "dialogs", "ghosts", "--times", "0", "--control", d.socket); status != exitUsage || !strings.Contains(stderr, "--times 0") {
		t.Errorf("status %d, %s", status, stderr)
	}
	d.stop()
	backup.stop()
}
