package appliance

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin1/bin1test"
)

// keep makes a keeper of a new table in dir, which logs to log.
func keep(t *testing.T, dir string, log *bytes.Buffer) *keeper {
	t.Helper()
	table, err := dialog.NewTable(dialog.Config{Shards: 4})
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{
		dir: dir, every: time.Hour, log: slog.New(slog.NewTextHandler(log, nil)), table: table,
		origin:   func(uint16) packets.Sender { return packets.Sender{} },
		consumed: func() uint64 { return 0 },
		mark:     func(int, time.Time, uint64) error { return nil },
	}
	if err := k.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(k.close(), table.Close()) })
	return k
}

// begin puts n new calls into the table.
func (k *keeper) begin(t *testing.T, seed uint64, n int) {
	t.Helper()
	proxy := bin1test.NewProxy(seed, bin1test.Realistic(time.Now().Unix(), n))
	for k.live() < uint64(n) {
		packet := proxy.Next(nil)
		var ev dialog.Event
		if v := bin1.Decode(packet, &ev); v != bin1.Dialog {
			t.Fatal(v)
		}
		ev.Hash = k.steering.Hash(packet, packets.Endpoint{})
		shard := k.table.Lock(k.table.ShardOf(ev.Hash))
		shard.Apply([]*dialog.Event{&ev}, time.Now().Unix())
		shard.Unlock()
	}
}

// TestKeeperGenerations damages the newest file in several ways, and then both.
func TestKeeperGenerations(t *testing.T) {
	dir := t.TempDir()
	k := keep(t, dir, new(bytes.Buffer))
	k.begin(t, 1, 50)
	k.save(t.Context())
	k.begin(t, 1, 80)
	k.save(t.Context())
	newest := k.status.Saved
	if err := k.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(k.file(1))
	if err != nil {
		t.Fatal(err)
	}
	reopen := func(want uint64, warned bool) *keeper {
		t.Helper()
		var log bytes.Buffer
		k := keep(t, dir, &log)
		at, err := k.restore(t.Context(), nil)
		if err != nil || k.live() != want || (k.status.Damaged != "") != warned || strings.Contains(log.String(), "WARN") != warned {
			t.Errorf("%d dialogs, want %d; %+v, error %v, log %s", k.live(), want, k.status, err, &log)
		}
		if at.IsZero() != (want == 0) || want == 80 && !at.Equal(newest) {
			t.Errorf("saved at %v, want %v", at, newest)
		}
		if err := k.close(); err != nil {
			t.Error(err)
		}
		return k
	}
	if k := reopen(80, false); k.next != 0 {
		t.Errorf("the next to be written is %d", k.next)
	}
	for name, damaged := range map[string][]byte{
		"cut off": whole[:len(whole)/2], "empty": {}, "something else": []byte("hello"),
		"one bit": append(append(bytes.Clone(whole[:700]), whole[700]^1), whole[701:]...),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(k.file(1), damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if k := reopen(50, true); k.next != 1 {
				t.Errorf("the next to be written is %d, the good one is 0", k.next)
			}
		})
	}
	if err := os.WriteFile(k.file(0), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	reopen(0, true)
}

// TestKeeperFolder: a folder has one keeper, which removes what a killed process had begun.
func TestKeeperFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "state")
	k := keep(t, dir, new(bytes.Buffer))
	other := &keeper{dir: dir, log: slog.Default()}
	if err := other.open(); err == nil || !strings.Contains(err.Error(), "another binrepd") {
		t.Errorf("a second owner: %v", err)
	}
	if err := k.close(); err != nil {
		t.Fatal(err)
	}
	begun, foreign := filepath.Join(dir, ".table-1.saved.123.tmp"), filepath.Join(dir, "notes.tmp")
	for _, path := range []string{begun, foreign} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keep(t, dir, new(bytes.Buffer))
	if _, err := os.Stat(begun); !os.IsNotExist(err) {
		t.Errorf("what was begun is still there: %v", err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
}

// TestKeeperDiskError: a keeper that can't write says so once, tries again, says when it works again, and leaves the good
// file alone.
func TestKeeperDiskError(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	k := keep(t, dir, &log)
	k.begin(t, 1, 20)
	k.save(t.Context())
	good := k.status.Saved
	// Root may write anywhere; a folder in the place of the file stops it as well.
	if err := os.MkdirAll(filepath.Join(k.file(1), "in-the-way"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		k.save(t.Context())
	}
	if n := strings.Count(log.String(), "can't be saved"); n != 1 || k.status.Failures != 3 || k.status.Error == "" || k.status.Saved != good {
		t.Errorf("%d lines about it, %+v:\n%s", n, k.status, &log)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.RemoveAll(k.file(1)); err != nil {
		t.Fatal(err)
	}
	k.save(t.Context())
	if !strings.Contains(log.String(), "is saved again") || k.status.Error != "" || k.status.Saves != 2 {
		t.Errorf("%+v:\n%s", k.status, &log)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	k.save(ended)
	if k.status.Error != "" || k.status.Saves != 2 {
		t.Errorf("ended: %+v", k.status)
	}
}
