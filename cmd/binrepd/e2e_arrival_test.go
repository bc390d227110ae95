package main

import (
	"encoding/json"
	"strings"
	"testing"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestSyncSaysWhatArrived: at another binrepd all or not all, by exit status, text and JSON; and at an address that no host has, nothing was sent.
func TestSyncSaysWhatArrived(t *testing.T) {
	t.Parallel()
	world := newChain(t)
	a := world.startFirst(t, "--xdp", "off")
	conn := dial(t, world.proxy, proxyAddr+":5555", listenAt)
	proxy := bin1test.NewProxy(6, bin1test.Realistic(nowUnix(), 1))
	const dialogs = 3000
	fill(t, a, conn, proxy, dialogs)
	sync := func(args ...string) (string, string, int) {
		return command(t, nil, append([]string{"sync", "--control", a.socket}, args...)...)
	}
	absent := strings.TrimSuffix(backupAddr, ".2") + ".77:5556"
	if out, errs, status := sync("--to", absent); status != exitFailed || out != "" || !strings.Contains(errs, "no host on the link answers") {
		t.Errorf("to nobody: status %d, %q, %q", status, out, errs)
	}
	b := startDaemon(t, world.backup, "--xdp", "off", "--listen", backupAt)
	if out, errs, status := sync("--to", backupAt); status != exitDone || !strings.Contains(out, "\n  arrived: all\n") {
		t.Errorf("to another binrepd: status %d, %q, %q", status, out, errs)
	}
	if n := b.status().Dialogs; n != dialogs {
		t.Errorf("all arrived, and it has %d", n)
	}
	loseOneIn(t, world.backup, "bin0", 50)
	out, errs, status := sync("--to", backupAt, "--json")
	var s control.SyncSummary
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	if status != exitFailed || s.Arrived != control.ArrivedMissing || s.Missing == 0 || s.Missing > dialogs/10 || !strings.Contains(errs, "not everything arrived") {
		t.Errorf("over a lossy path: status %d, %+v, %q", status, s, errs)
	}
}
