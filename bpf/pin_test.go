package bpf_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/userspace/host/folder"
)

func pinConfig() bpf.Config {
	return bpf.Config{Rings: 2, RingSize: 1 << 20, K0: 3, K1: 4, Listeners: []netip.AddrPort{netip.MustParseAddrPort("10.1.0.2:5556")}}
}

// openPin opens the folder and loads a program for it. The returned function ends both, as the end of a process does.
func openPin(t *testing.T, dir string, cfg bpf.Config) (*bpf.Pin, *bpf.Program, func()) {
	t.Helper()
	pin, err := bpf.OpenPin(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Pin = pin
	p, err := bpf.Load(cfg)
	if err != nil {
		t.Fatalf("%+v", errors.Join(err, pin.Close()))
	}
	if err := p.Commit(); err != nil {
		t.Fatal(errors.Join(err, p.Close(), pin.Close()))
	}
	end := func() {
		if err := errors.Join(p.Close(), pin.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(end)
	return pin, p, end
}

// Modes of attachment as netlink reports them (enum in linux/if_link.h).
const (
	drvAttached = 1
	skbAttached = 2
)

// pins lists the files in the folder.
func pins(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// TestPinFits takes over state that differs only in the key. It replaces any other state and gives a reason.
func TestPinFits(t *testing.T) {
	dir := filepath.Join(bpftest.FileSystem(t), "pins")
	_, _, end := openPin(t, dir, pinConfig())
	end()
	other := pinConfig()
	other.K0, other.K1 = 5, 6
	pin, p, end := openPin(t, dir, other)
	k0, k1, ok := pin.Key()
	if !ok || k0 != 3 || k1 != 4 || pin.Reason() != "" {
		t.Errorf("key %d %d %v, %q", k0, k1, ok, pin.Reason())
	}
	rings := ringID(t, p)
	end()
	for _, test := range []struct {
		change func(*bpf.Config)
		reason string
	}{
		{func(c *bpf.Config) { c.Rings = 1 }, "rings"},
		{func(c *bpf.Config) { c.Rings = 3 }, "rings"},
		{func(c *bpf.Config) { c.RingSize *= 2 }, "bytes"},
		{func(c *bpf.Config) { c.Listeners = []netip.AddrPort{netip.MustParseAddrPort("10.1.0.2:5557")} }, "5557"},
	} {
		cfg := pinConfig()
		_, _, end := openPin(t, dir, cfg)
		end()
		test.change(&cfg)
		pin, p, end := openPin(t, dir, cfg)
		if pin.Adopted() || !strings.Contains(pin.Reason(), test.reason) {
			t.Errorf("%+v: adopted %v, %q", cfg, pin.Adopted(), pin.Reason())
		}
		if now := ringID(t, p); now == rings {
			t.Error("the rings are the old ones")
		}
		if n := countPrefix(pins(t, dir), "ring_"); n != cfg.Rings {
			t.Errorf("%d rings are pinned, want %d: %v", n, cfg.Rings, pins(t, dir))
		}
		end()
		pin, p, end = openPin(t, dir, cfg)
		rings = ringID(t, p)
		if !pin.Adopted() {
			t.Errorf("%+v, again: %q", cfg, pin.Reason())
		}
		end()
	}
}

func countPrefix(names []string, prefix string) (n int) {
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

func ringID(t *testing.T, p *bpf.Program) ebpf.MapID {
	t.Helper()
	info, err := p.Rings()[0].Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return id
}

// TestPinIncomplete replaces state that lacks any part, or in which a part has the wrong form.
func TestPinIncomplete(t *testing.T) {
	dir := filepath.Join(bpftest.FileSystem(t), "pins")
	_, _, end := openPin(t, dir, pinConfig())
	end()
	names := pins(t, dir)
	if len(names) != 7 {
		t.Fatalf("pinned: %v", names)
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		pin, _, end := openPin(t, dir, pinConfig())
		if pin.Adopted() || pin.Reason() == "" {
			t.Errorf("without %s: adopted %v, %q", name, pin.Adopted(), pin.Reason())
		}
		end()

		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Remove(path), m.Pin(path), m.Close()); err != nil {
			t.Fatal(err)
		}
		pin, _, end = openPin(t, dir, pinConfig())
		if pin.Adopted() || pin.Reason() == "" {
			t.Errorf("with another %s: adopted %v, %q", name, pin.Adopted(), pin.Reason())
		}
		end()
		if now := pins(t, dir); !slices.Equal(now, names) {
			t.Errorf("pinned then: %v", now)
		}
	}
}

// TestPinPlace refuses unsuitable folders.
func TestPinPlace(t *testing.T) {
	fs := bpftest.FileSystem(t)
	var not *bpf.NotBPFError
	if _, err := bpf.OpenPin(filepath.Join(t.TempDir(), "pins"), pinConfig()); !errors.As(err, &not) || !strings.Contains(err.Error(), "mount -t bpf") {
		t.Errorf("in an ordinary folder: %v", err)
	}
	if _, err := bpf.OpenPin(filepath.Join(fs, "a", "b"), pinConfig()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a folder that isn't there: %v", err)
	}
	if _, err := bpf.Unpin(filepath.Join(fs, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("unpin a folder that isn't there: %v", err)
	}
	dir := filepath.Join(fs, "pins")
	_, _, end := openPin(t, dir, pinConfig())
	if _, err := bpf.OpenPin(dir, pinConfig()); !errors.Is(err, folder.ErrInUse) {
		t.Errorf("a second time: %v", err)
	}
	if _, err := bpf.Unpin(dir); !errors.Is(err, folder.ErrInUse) {
		t.Errorf("unpin while in use: %v", err)
	}
	end()
	removed, err := bpf.Unpin(dir)
	if _, gone := os.Stat(dir); err != nil || len(removed) != 7 || !errors.Is(gone, os.ErrNotExist) {
		t.Errorf("unpin removes %v, error %v; the folder: %v", removed, err, gone)
	}
}

// TestPinAttachment leaves the program attached, and the next process replaces it in place. It makes a new attachment
// if the interface was made anew or the mode is not the wanted one. It detaches from interfaces that are no longer
// wanted.
func TestPinAttachment(t *testing.T) {
	sender, receiver := pair(t, 1500)
	dir := filepath.Join(bpftest.FileSystem(t), "pins")
	records := func(p *bpf.Program) uint64 {
		c, err := p.Counters()
		if err != nil {
			t.Fatal(err)
		}
		return c.Listeners[0][bpf.Steered]
	}
	process := func(mode bpf.Mode, names ...string) (*bpf.Program, *bpf.Follower, func()) {
		_, p, end := openPin(t, dir, pinConfig())
		f, _ := follow(t, receiver, p, mode, names...)
		return p, f, func() {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			end()
		}
	}
	p, _, end := process(bpf.Native, "in0")
	before := p.ID()
	end()
	if id, _ := programOn(receiver, "in0"); id != before {
		t.Fatalf("program %d is attached, want %d", id, before)
	}
	for i := range 3 {
		sendFrom(sender, "10.1.0.2:5556", binPacket("while-nobody-is-there", 100+i))
	}
	p, _, end = process(bpf.Auto, "in0")
	if id, mode := programOn(receiver, "in0"); id != p.ID() || id == before || mode != drvAttached {
		t.Errorf("program %d is attached %v; the old one is %d, the new one %d", id, mode, before, p.ID())
	}
	sendFrom(sender, "10.1.0.2:5556", binPacket("to-the-next", 100))
	bpftest.Await(t, "4 records", func() bool { return records(p) == 4 })
	end()

	p, f, end := process(bpf.Generic, "in0")
	if id, mode := programOn(receiver, "in0"); id != p.ID() || mode != skbAttached {
		t.Errorf("program %d is attached %v, want %d generic; %+v", id, mode, p.ID(), f.States())
	}
	end()

	change(receiver, "in0", netlink.LinkDel)
	bpftest.Veth(1500,
		bpftest.End{In: sender, Name: "proxy0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}},
		bpftest.End{In: receiver, Name: "in0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")}})
	p, f, end = process(bpf.Auto, "in0", "lo")
	if id, mode := programOn(receiver, "in0"); id != p.ID() || mode != drvAttached {
		t.Errorf("program %d is attached %v, want %d native; %+v", id, mode, p.ID(), f.States())
	}
	if n := countPrefix(pins(t, dir), "link_"); n != 2 {
		t.Errorf("pinned: %v", pins(t, dir))
	}
	end()

	_, _, end = process(bpf.Auto, "lo")
	if id, _ := programOn(receiver, "in0"); id != 0 {
		t.Errorf("program %d is on an interface that isn't wanted", id)
	}
	end()
	if _, err := bpf.Unpin(dir); err != nil {
		t.Error(err)
	}
	bpftest.Await(t, "lo is free", func() bool {
		id, _ := programOn(receiver, "lo")
		return id == 0
	})
}

// TestPinDeleted deletes an interface and makes it again while the program follows it. The pin of the old attachment is
// removed.
func TestPinDeleted(t *testing.T) {
	sender, receiver := pair(t, 1500)
	dir := filepath.Join(bpftest.FileSystem(t), "pins")
	_, p, end := openPin(t, dir, pinConfig())
	f, _ := follow(t, receiver, p, bpf.Native, "in0")
	change(receiver, "in0", netlink.LinkDel)
	bpftest.Await(t, "the interface is gone", func() bool { return f.States()[0].Index == 0 })
	if n := countPrefix(pins(t, dir), "link_"); n != 0 {
		t.Errorf("pinned: %v", pins(t, dir))
	}
	bpftest.Veth(1500, bpftest.End{In: sender, Name: "proxy0"}, bpftest.End{In: receiver, Name: "in0"})
	bpftest.Await(t, "the interface is back", func() bool { return f.States()[0].Attached() })
	if n := countPrefix(pins(t, dir), "link_"); n != 1 {
		t.Errorf("pinned: %v", pins(t, dir))
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	end()
}
