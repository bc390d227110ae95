package main

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"testing"
	"time"

	"binrepd/bpf/bpftest"
	"binrepd/dialog"
	"binrepd/userspace/appliance"
	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/savefile"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// savedTable saves n dialogs as run --load reads them.
func savedTable(t *testing.T, n uint64) string {
	t.Helper()
	table, err := dialog.NewTable(dialog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	proxy := bin1test.NewProxy(9, bin1test.Realistic(nowUnix(), 1))
	var packet []byte
	var ev dialog.Event
	for call := range n {
		packet = proxy.AppendPacket(packet[:0], call, bin1test.Confirm)
		if v := bin1.Decode(packet, &ev); v != bin1.Dialog {
			t.Fatalf("a packet that is %v", v)
		}
		ev.Hash = packets.Steering{}.Hash(packet, packets.Endpoint{})
		s := table.Lock(table.ShardOf(ev.Hash))
		s.Apply([]*dialog.Event{&ev}, nowUnix())
		s.Unlock()
	}
	path := filepath.Join(t.TempDir(), "table.saved")
	if s, err := savefile.Save(t.Context(), savefile.SaveConfig{Table: table, Path: path}); err != nil || s.Dialogs != n {
		t.Fatalf("%+v, %v", s, err)
	}
	return path
}

// digest is a number for all dialogs of an appliance and all that they say, and how many there are. Who said it and when isn't in it.
func (d *daemon) digest() (sum, dialogs uint64) {
	d.t.Helper()
	if err := d.client.Dialogs(context.Background(), control.Filter{}, func(line []byte) error {
		said := bytes.LastIndex(line, []byte(`,"origin":`)) // and when, which are the last of its keys
		if said < 0 {
			return fmt.Errorf("no origin in %s", line)
		}
		h := fnv.New64a()
		h.Write(line[:said])
		sum += h.Sum64()
		dialogs++
		return nil
	}); err != nil {
		d.t.Fatal(err)
	}
	return sum, dialogs
}

// TestSyncAtFullRate hands a table from one process to another on the same machine by sync --rate max, and tells how long that took: until the
// other one had every dialog, and until the sync, of two passes, had ended. Then both have the same. The long form has a million dialogs.
func TestSyncAtFullRate(t *testing.T) {
	bpftest.RequireKernel(t)
	dialogs := uint64(5000)
	if appliancetest.Chaos() {
		dialogs = 1_000_000
	}
	path := savedTable(t, dialogs)
	for _, mode := range []string{appliance.XDPNative, appliance.XDPOff} {
		t.Run(mode, func(t *testing.T) {
			world := newChain(t)
			second := startDaemon(t, world.backup, "--listen", backupAt, "--xdp", mode)
			first := startDaemon(t, world.appliance, "--listen", listenAt, "--xdp", appliance.XDPOff, "--load", path)
			if n := first.status().Dialogs; n != dialogs {
				t.Fatalf("%d dialogs were loaded", n)
			}
			begin := time.Now()
			done := make(chan control.SyncSummary, 1)
			go func() { done <- syncJSON(t, first, "--to", backupAt, "--rate", "max", "--passes", "2") }()
			look := time.NewTicker(20 * time.Millisecond) // each look takes processor time from what is measured
			second.await("all dialogs", func() bool { <-look.C; return second.status().Dialogs == dialogs })
			look.Stop()
			all := time.Since(begin)
			summary := <-done
			second.await("rest", func() bool {
				before := second.status()
				return before.Sum() == before.Seen && before.Seen+sum(before.Lost) >= summary.Packets
			})
			s := second.status()
			t.Logf("%s: %d dialogs, %d MB: all were there %.2f s after the command began, %.0f a second; two passes were sent in %.2f s, %.0f packets a second; %d of %d packets lost",
				mode, dialogs, summary.Bytes/2e6, all.Seconds(), float64(dialogs)/all.Seconds(),
				summary.Seconds, float64(summary.Packets)/summary.Seconds, sum(s.Lost), summary.Packets)
			want, _ := first.digest()
			if got, n := second.digest(); got != want || n != dialogs {
				t.Errorf("the standby has %d of %d dialogs, the same: %t", n, dialogs, got == want)
			}
			second.stop()
			first.stop()
		})
	}
}
