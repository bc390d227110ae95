package main

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// appliancesInRing starts three appliances, each of which is the backup of the one before it, and waits until they know each other.
func appliancesInRing(t *testing.T) (ring []*daemon, ports []string) {
	t.Helper()
	ports = []string{freePort(t), freePort(t), freePort(t)}
	for i := range ports {
		ring = append(ring, startDaemon(t, nil, "--xdp", "off", "--listen", ports[i], "--replicate-to", ports[(i+1)%3]))
	}
	for _, d := range ring {
		d.await("the next appliance to answer", func() bool { return d.status().Destinations[0].Peer })
	}
	return ring, ports
}

// TestUpdatesInARing: updates that no CSeq orders go round once, whatever appliance they were sent to. Each account adds up.
func TestUpdatesInARing(t *testing.T) {
	t.Parallel()
	ring, ports := appliancesInRing(t)
	const updates = 60
	for i := range updates {
		conn, err := net.Dial("udp4", ports[i%3])
		if err != nil {
			t.Fatal(err)
		}
		d := dialog.Details{
			CallID: "c", FromTag: "a", ToTag: "b", State: dialog.Confirmed, Start: 1_700_000_000, Timeout: uint32(nowUnix() + 3600),
			CallerSocket: "udp:10.0.0.1:5060", CalleeSocket: "udp:10.0.0.1:5060", CallerContact: fmt.Sprintf("sip:update@%d", i),
		}
		if _, err := conn.Write(bin1.Append(nil, dialog.Update, d.AppendPacked(nil))); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	sums := func() (seen uint64, rest bool) {
		rest = true
		for _, d := range ring {
			s := d.status()
			seen += s.Seen
			rest = rest && s.Sum() == s.Seen && s.Destinations[0].Queued == 0 && s.Seen > 0
		}
		return seen, rest
	}
	last := uint64(0)
	ring[0].await("the ring to fall silent", func() bool {
		seen, rest := sums()
		silent := rest && seen == last && seen >= updates
		last = seen
		time.Sleep(300 * time.Millisecond) // less than the pause between two greetings
		return silent
	})
	for i, d := range ring {
		s := d.status()
		events := s.Seen - s.OtherCapability
		if events > updates/3+updates {
			t.Errorf("appliance %d saw %d events for %d updates", i, events, updates)
		}
		if i > 0 {
			sameDialogs(t, d, ring[0])
		}
	}
	for _, d := range ring {
		d.stop()
	}
}

// TestABackupThatWasAway: while a backup refuses packets its events wait. Once it is back, --sync-on-return fills it.
func TestABackupThatWasAway(t *testing.T) {
	t.Parallel()
	listen, backup := freePort(t), freePort(t)
	second := startDaemon(t, nil, "--xdp", "off", "--listen", backup)
	first := startDaemon(t, nil, "--xdp", "off", "--listen", listen, "--replicate-to", backup)
	first.await("the backup to answer", func() bool { return first.status().Destinations[0].Peer })
	conn, err := net.Dial("udp4", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(2, bin1test.Realistic(nowUnix(), 20))
	send := func(n int) {
		for range n {
			if _, err := conn.Write(proxy.Next(nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(50)
	second.settle(50)
	second.kill()
	first.await("the refusal", func() bool { send(1); return first.status().Destinations[0].State == "refused" })
	before := first.status()
	send(100)
	first.await("the events to arrive", func() bool { s := first.status(); return s.Seen >= before.Seen+100 && s.Sum() == s.Seen })
	if d := first.status().Destinations[0]; d.Sent != before.Destinations[0].Sent || d.Queued < 100 {
		t.Errorf("sent %d more to nobody, %d wait", d.Sent-before.Destinations[0].Sent, d.Queued)
	}
	second = startDaemon(t, nil, "--xdp", "off", "--listen", backup)
	first.await("the backup to be back", func() bool { return first.status().Destinations[0].State == "up" })
	if d := first.status().Destinations[0]; !strings.HasPrefix(d.NeedsSync, "was away ") || d.Away <= 0 {
		t.Errorf("%+v", d)
	}
	if out, _, _ := command(t, nil, "status", "--control", first.socket); !strings.Contains(out, backup+" was away ") || !strings.Contains(out, "needs a sync") {
		t.Errorf("status says\n%s", out)
	}
	syncJSON(t, first, "--to", backup, "--rate", "max")
	if d := first.status().Destinations[0]; d.NeedsSync != "" {
		t.Errorf("synced, but %q", d.NeedsSync)
	}
	first.stop()
	second.stop()
}

func TestSyncOnReturn(t *testing.T) {
	t.Parallel()
	listen, backup := freePort(t), freePort(t)
	second := startDaemon(t, nil, "--xdp", "off", "--listen", backup)
	first := startDaemon(t, nil, "--xdp", "off", "--listen", listen, "--replicate-to", backup, "--sync-on-return")
	first.await("the backup to answer", func() bool { return first.status().Destinations[0].Peer })
	conn, err := net.Dial("udp4", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(2, bin1test.Realistic(nowUnix(), 20))
	for range 50 {
		if _, err := conn.Write(proxy.Next(nil)); err != nil {
			t.Fatal(err)
		}
	}
	second.settle(50)
	second.kill()
	first.await("the refusal", func() bool { return first.status().Destinations[0].State == "refused" }) // by a question
	again := startDaemon(t, nil, "--xdp", "off", "--listen", backup)
	first.await("the sync", func() bool {
		s := first.status()
		return s.Destinations[0].State == "up" && s.Destinations[0].NeedsSync == "" && len(s.Syncs) == 0
	})
	again.await("its arrival", func() bool { return again.status().Dialogs == first.status().Dialogs })
	sameDialogs(t, again, first)
	first.stop()
	again.stop()
}

func TestBackupsCommand(t *testing.T) {
	t.Parallel()
	listen, backup := freePort(t), freePort(t)
	d := startDaemon(t, nil, "--xdp", "off", "--listen", listen)
	backups := func(want int, args ...string) (list control.BackupList, text string) {
		t.Helper()
		out, stderr, status := command(t, nil, append(append([]string{"backups"}, args...), "--json", "--control", d.socket)...)
		if status != want {
			t.Fatalf("backups %v: status %d, %s", args, status, stderr)
		}
		if status == exitDone {
			if err := json.Unmarshal([]byte(out), &list); err != nil {
				t.Fatalf("%s: %v", out, err)
			}
		}
		return list, stderr
	}
	if list, _ := backups(exitDone, "list"); len(list.Backups) != 0 {
		t.Errorf("%+v", list)
	}
	if out, _, _ := command(t, nil, "backups", "list", "--control", d.socket); out != "none\n" {
		t.Errorf("list says %q", out)
	}
	list, _ := backups(exitDone, "add", "--rate", "100", backup)
	if len(list.Backups) != 1 || list.Backups[0].Address != backup || list.Backups[0].Rate != 100 {
		t.Errorf("%+v", list)
	}
	if list, _ = backups(exitDone, "pause", backup); !list.Backups[0].Paused {
		t.Errorf("%+v", list)
	}
	if out, _, _ := command(t, nil, "backups", "list", "--control", d.socket); !strings.Contains(out, ", paused") {
		t.Errorf("list says\n%s", out)
	}
	if list, _ = backups(exitDone, "resume", backup); list.Backups[0].Paused {
		t.Errorf("%+v", list)
	}
	for _, c := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{"add", backup}, exitFailed, "is already a destination"},
		{[]string{"add", listen}, exitFailed, "is an address of this appliance itself"},
		{[]string{"remove", "127.0.0.1:1"}, exitFailed, "is no destination"},
		{[]string{"pause", "127.0.0.1:1"}, exitFailed, "is no destination"},
		{[]string{"add"}, exitUsage, "takes one backup"},
		{[]string{"add", "nonsense"}, exitUsage, "nonsense"},
		{[]string{"add", "--rate", "-1", "127.0.0.1:1"}, exitUsage, "--rate -1"},
		{[]string{"add", "--rewrite-socket", "x", "127.0.0.1:1"}, exitUsage, "--rewrite-socket"},
	} {
		if _, stderr := backups(c.want, c.args...); !strings.Contains(stderr, c.says) {
			t.Errorf("%v: %s", c.args, stderr)
		}
	}
	if list, _ = backups(exitDone, "remove", backup); len(list.Backups) != 0 {
		t.Errorf("%+v", list)
	}
	d.stop()
}

// TestItsOwnAddressIsNoBackup: each event would come back.
func TestItsOwnAddressIsNoBackup(t *testing.T) {
	t.Parallel()
	listen := freePort(t)
	_, stderr, status := command(t, nil, "run", "--xdp", "off", "--listen", listen, "--replicate-to", listen,
		"--control", t.TempDir()+"/c")
	if status == exitDone || !strings.Contains(stderr, "is an address of this appliance itself") {
		t.Errorf("status %d: %s", status, stderr)
	}
	d := startDaemon(t, nil, "--xdp", "off", "--listen", listen)
	if _, stderr, status := command(t, nil, "sync", "--to", listen, "--control", d.socket); status != exitFailed || !strings.Contains(stderr, "of this appliance itself") {
		t.Errorf("status %d: %s", status, stderr)
	}
	d.stop()
}
