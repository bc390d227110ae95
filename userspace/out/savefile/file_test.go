package savefile_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/out/savefile"
)

// rows is everything that the table tells of its entries, by key and state.
func rows(table *dialog.Table, which func(dialog.State) bool) map[string]string {
	m := map[string]string{}
	var cur dialog.Cursor
	for more := true; more; {
		more = table.Scan(&cur, func(v *dialog.View) {
			if which(v.State()) {
				m[string(v.Key())] = fmt.Sprint(v.State(), v.Start(), v.Timeout(), v.Updated(), v.Origin(), string(v.Body()))
			}
		})
	}
	return m
}

// headerSize and blockHeader are sizes of version 2 of the format, in bytes.
const headerSize, blockHeader = 80, 32

func every(dialog.State) bool { return true }

func differences(t *testing.T, got, want map[string]string) {
	t.Helper()
	for k, w := range want {
		if got[k] != w {
			t.Errorf("%q is\n%q, want\n%q", k, got[k], w)
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%q should not be there", k)
		}
	}
}

var source = netip.MustParseAddrPort("192.0.2.10:5555")

// node is source 2.
var node = packets.Sender{Cluster: 65535, Node: 1<<31 - 1}

func origin(n uint16) packets.Sender {
	switch n {
	case 1:
		return packets.Sender{Endpoint: packets.EndpointOf(source)}
	case 2:
		return node
	}
	return packets.Sender{}
}

func (a *appliance) load(path string) (savefile.LoadSummary, error) {
	return savefile.Load(context.Background(), savefile.LoadConfig{
		Table: a.table, Path: path,
		Origin: func(e packets.Sender) uint16 {
			switch e {
			case origin(1):
				return 1
			case node:
				return 2
			}
			return 9
		},
	})
}

// mixed fills a table with live dialogs, ended ones and ones being set up.
func mixed(a *appliance, p interface{ Next([]byte) []byte }, n int) {
	var buf []byte
	for range n {
		buf = p.Next(buf[:0])
		a.take(buf)
	}
	for i := range 50 {
		d := call(i)
		d.State, d.ToTag, d.Start, d.Timeout = dialog.Early, "", 0, 1
		a.takeDetails(dialog.Update, d)
		a.takeDetails(dialog.Delete, call(100+i)) // of something unknown
	}
}

func TestSaveAndLoad(t *testing.T) {
	for _, everything := range []bool{false, true} {
		a, b := newAppliance(t), newAppliance(t)
		mixed(a, newProxy(1, 3000), 12_000)
		path := filepath.Join(t.TempDir(), "state")
		s, err := savefile.Save(context.Background(), savefile.SaveConfig{Table: a.table, Path: path, Everything: everything, Origin: origin})
		if err != nil {
			t.Fatal(err)
		}
		which := dialog.State.Live
		if everything {
			which = every
		}
		want := rows(a.table, which)
		if n := s.Dialogs + s.Early + s.Ended; n != uint64(len(want)) || s.Dialogs == 0 || (s.Early == 50 && s.Ended > 50) != everything {
			t.Errorf("%+v of %d", s, len(want))
		}
		if info, err := os.Stat(path); err != nil || info.Size() != s.Bytes || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		l, err := b.load(path)
		if err != nil || l.Changed() != uint64(len(want)) || l.Records != l.Changed() || l.Expired != 0 || time.Since(l.Created) > time.Hour {
			t.Errorf("%+v, %v", l, err)
		}
		differences(t, rows(b.table, every), want)
		// Once more changes nothing.
		if l, err = b.load(path); err != nil || l.Changed() != 0 || l.Outcomes[dialog.Duplicate] != l.Records-l.Outcomes[dialog.Late] {
			t.Errorf("again: %+v, %v", l, err)
		}
		differences(t, rows(b.table, every), want)
	}
}

func TestLoadingChangesNothingNewer(t *testing.T) {
	a, b := newAppliance(t), newAppliance(t)
	over := call(4)
	over.Timeout = uint32(time.Now().Unix()) - 3600
	for _, d := range []dialog.Details{call(1), call(2), call(3), over} {
		a.takeDetails(dialog.Create, d)
	}
	path := filepath.Join(t.TempDir(), "state")
	if _, err := savefile.Save(context.Background(), savefile.SaveConfig{Table: a.table, Path: path}); err != nil {
		t.Fatal(err)
	}
	newer := call(1)
	newer.CalleeCSeq = "77"
	b.takeDetails(dialog.Update, newer)
	b.takeDetails(dialog.Create, call(2))
	b.takeDetails(dialog.Delete, call(2))
	before := rows(b.table, every)
	l, err := b.load(path)
	if err != nil || l.Outcomes[dialog.Duplicate] != 1 || l.Outcomes[dialog.Late] != 1 || l.Outcomes[dialog.Applied] != 1 || l.Expired != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	after := rows(b.table, every)
	key := call(3)
	delete(after, string(key.AppendKey(nil)))
	differences(t, after, before)
}

// TestDamageIsFound tries one bit of every 509th byte and every 761st length, the long form one of every 16th and
// every 17th.
func TestDamageIsFound(t *testing.T) {
	bits, cuts := 509, 761
	if long() {
		bits, cuts = 16, 17
	}
	a := newAppliance(t)
	mixed(a, newProxy(1, 100), 400)
	path := filepath.Join(t.TempDir(), "state")
	if _, err := savefile.Save(context.Background(), savefile.SaveConfig{Table: a.table, Path: path, Everything: true, Origin: origin}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := newAppliance(t)
	b.takeDetails(dialog.Create, call(1000))
	before := rows(b.table, every)
	refused := func(what string, content []byte) error {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := b.load(path)
		var damage *savefile.DamageError
		if !errors.As(err, &damage) && !errors.Is(err, savefile.ErrFormat) && !errors.Is(err, savefile.ErrNewer) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), path) {
			t.Fatalf("%s: %v", what, err)
		}
		if damage != nil && (damage.Offset < 0 || damage.Offset > int64(max(len(whole), len(content)))) {
			t.Fatalf("%s: %v", what, err)
		}
		return err
	}
	for at := 0; at < len(whole); at += bits {
		broken := bytes.Clone(whole)
		broken[at] ^= 1 << (at / bits % 8)
		refused(fmt.Sprint("bit of byte ", at), broken)
	}
	for at := range headerSize + blockHeader { // all of the first headers
		broken := bytes.Clone(whole)
		broken[at]++
		refused(fmt.Sprint("byte ", at), broken)
	}
	for cut := 0; cut < len(whole); cut += cuts {
		if err := refused(fmt.Sprint("cut to ", cut), whole[:cut]); cut > headerSize && !strings.Contains(err.Error(), "cut off") {
			t.Errorf("cut to %d: %v", cut, err)
		}
	}
	refused("one byte more", append(bytes.Clone(whole), 0))
	refused("something else", []byte("callid,from,to\n"))
	newer := bytes.Clone(whole)
	newer[8] = 3
	if err := refused("a newer version", newer); !errors.Is(err, savefile.ErrNewer) || !strings.Contains(err.Error(), "version 3") {
		t.Error(err)
	}
	differences(t, rows(b.table, every), before)
	if _, err := b.load(path + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestBlocksAreChained swaps two blocks whose own sums are right.
func TestBlocksAreChained(t *testing.T) {
	a := newAppliance(t)
	p := newProxy(1, 8000)
	a.fill(p, 8000) // three blocks and more
	path := filepath.Join(t.TempDir(), "state")
	if _, err := savefile.Save(context.Background(), savefile.SaveConfig{Table: a.table, Path: path}); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.ReadFile(path)
	var blocks [][]byte
	for rest := whole[headerSize:]; len(rest) > 0; {
		end := blockHeader + binary.LittleEndian.Uint32(rest[20:])
		blocks = append(blocks, rest[:end])
		rest = rest[end:]
	}
	if len(blocks) < 3 {
		t.Fatalf("%d blocks", len(blocks))
	}
	blocks[0], blocks[1] = blocks[1], blocks[0]
	if err := os.WriteFile(path, append(bytes.Clone(whole[:headerSize]), bytes.Join(blocks, nil)...), 0o600); err != nil {
		t.Fatal(err)
	}
	var damage *savefile.DamageError
	if _, err := newAppliance(t).load(path); !errors.As(err, &damage) || damage.Offset != headerSize {
		t.Error(err)
	}
}

func TestSavingKeepsTheOldFileUntilTheNewOneIsWhole(t *testing.T) {
	a := newAppliance(t)
	a.fill(newProxy(1, 100), 100)
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := os.WriteFile(path, []byte("BINREPD\nold"), 0o600); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := savefile.Save(ended, savefile.SaveConfig{Table: a.table, Path: path}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := savefile.Save(context.Background(), savefile.SaveConfig{Table: a.table, Path: dir}); err == nil {
		t.Error("saved over a folder")
	}
	if _, err := savefile.Save(context.Background(), savefile.SaveConfig{Table: a.table, Path: filepath.Join(dir, "none", "state")}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "BINREPD\nold" {
		t.Errorf("the old file holds %q", got)
	}
	if _, err := savefile.Save(context.Background(), savefile.SaveConfig{Table: a.table, Path: path}); err != nil {
		t.Error(err)
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		list, _ := os.ReadDir(d)
		for _, e := range list {
			if strings.HasSuffix(e.Name(), ".tmp") {
				t.Errorf("left behind: %s", e.Name())
			}
		}
	}
	if h, err := newAppliance(t).load(path); err != nil || h.Records != 100 {
		t.Errorf("%+v, %v", h, err)
	}
	t.Chdir(dir)
	if _, err := savefile.Save(context.Background(), savefile.SaveConfig{Table: a.table, Path: "here"}); err != nil {
		t.Error(err)
	}
	if _, err := newAppliance(t).load("here"); err != nil {
		t.Error(err)
	}
}

func TestSavingAnEmptyTable(t *testing.T) {
	a := newAppliance(t)
	path := filepath.Join(t.TempDir(), "state")
	if s, err := savefile.Save(context.Background(), savefile.SaveConfig{Table: a.table, Path: path}); err != nil || s.Bytes != headerSize {
		t.Errorf("%+v, %v", s, err)
	}
	if l, err := a.load(path); err != nil || l.Records != 0 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestSavingWhileEventsGoOn(t *testing.T) {
	a := newAppliance(t)
	p := newProxy(1, 5000)
	a.fill(p, 4000)
	stay := rows(a.table, every)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // calls that come and go
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				a.takeDetails(dialog.Create, call(n))
				a.takeDetails(dialog.Delete, call(n-100))
			}
		}
	})
	path := filepath.Join(t.TempDir(), "state")
	for range 3 {
		if _, err := savefile.Save(context.Background(), savefile.SaveConfig{Table: a.table, Path: path, Origin: origin}); err != nil {
			t.Fatal(err)
		}
		b := newAppliance(t)
		if _, err := b.load(path); err != nil {
			t.Fatal(err)
		}
		got := rows(b.table, every)
		for k := range got {
			if strings.Contains(k, "@example.org") {
				delete(got, k)
			}
		}
		differences(t, got, stay)
	}
	close(stop)
	wg.Wait()
}
