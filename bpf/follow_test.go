package bpf_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
)

// logbook collects log lines.
type logbook struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(b)
}

func (l *logbook) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.lines.String(), what)
}

// follow follows interfaces in the namespace until the test ends.
func follow(t testing.TB, n *bpftest.Namespace, p *bpf.Program, mode bpf.Mode, names ...string) (*bpf.Follower, *logbook) {
	t.Helper()
	book := new(logbook)
	var f *bpf.Follower
	n.Do(func() (err error) {
		f, err = bpf.Follow(p, bpf.FollowConfig{Interfaces: names, Mode: mode, Logger: slog.New(slog.NewTextHandler(book, nil))})
		return err
	})
	t.Cleanup(func() {
		if err := errors.Join(f.Close(), f.Close()); err != nil {
			t.Error(err)
		}
		for _, s := range f.States() {
			if s.Attached() {
				t.Errorf("%+v after Close", s)
			}
		}
	})
	return f, book
}

// change applies a function to an interface.
func change(n *bpftest.Namespace, name string, what func(netlink.Link) error) {
	n.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return what(l)
	})
}

// TestFollow takes an interface down and up, deletes it and makes it again, several times. Each time the program comes
// back and takes what is sent.
func TestFollow(t *testing.T) {
	sender, receiver := pair(t, 1500)
	p := load(t, bpf.Config{Rings: 1, Listeners: []netip.AddrPort{netip.MustParseAddrPort("10.1.0.2:5556")}})
	f, book := follow(t, receiver, p, bpf.Native, "in0", "lo")
	state := func() bpf.InterfaceState { return f.States()[0] }
	rings := newDrain(t, p)
	if s := state(); !s.Attached() || !s.Up || s.Mode != bpf.Native || s.Err != nil {
		t.Fatalf("at the begin: %+v", s)
	}
	if s := f.States()[1]; s.Attached() || !errors.Is(s.Err, errors.ErrUnsupported) {
		t.Errorf("native on lo: %+v", s)
	}
	for round := range 3 {
		change(receiver, "in0", netlink.LinkSetDown)
		bpftest.Await(t, "it is down", func() bool { return !state().Up })
		if !state().Attached() {
			t.Errorf("down: %+v", state())
		}
		change(receiver, "in0", netlink.LinkSetUp)
		bpftest.Await(t, "it is up", func() bool { return state().Up })

		change(receiver, "in0", netlink.LinkDel)
		bpftest.Await(t, "the interface is gone", func() bool { return state().Index == 0 })
		if s := state(); s.Attached() || s.Err == nil {
			t.Errorf("deleted: %+v", s)
		}
		bpftest.Veth(1500,
			bpftest.End{In: sender, Name: "proxy0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}},
			bpftest.End{In: receiver, Name: "in0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")}})
		bpftest.Await(t, "the interface is back", func() bool { return state().Attached() && state().Up })
		if id, _ := programOn(receiver, "in0"); id != p.ID() {
			t.Errorf("program %d is attached, ours is %d", id, p.ID())
		}
		sendFrom(sender, "10.1.0.2:5556", binPacket(fmt.Sprint(round), 100))
		bpftest.Await(t, "a record", func() bool { return len(rings.records()) == 1 })
	}
	if n := book.count("XDP attached"); n != 4 {
		t.Errorf("%d lines tell of attachment, want 4:\n%s", n, &book.lines)
	}
	if n := book.count("interface=lo"); n != 1 {
		t.Errorf("%d lines about lo, which never changed:\n%s", n, &book.lines)
	}
}

// TestFollowLater attaches to an interface that is created later.
func TestFollowLater(t *testing.T) {
	sender, receiver := bpftest.NewNamespace(t), bpftest.NewNamespace(t)
	p := load(t, bpf.Config{})
	f, _ := follow(t, receiver, p, bpf.Auto, "in0")
	if s := f.States()[0]; s.Attached() || s.Index != 0 || s.Err == nil {
		t.Errorf("before: %+v", s)
	}
	bpftest.Veth(1500, bpftest.End{In: sender, Name: "proxy0"}, bpftest.End{In: receiver, Name: "in0"})
	bpftest.Await(t, "it is attached", func() bool { return f.States()[0].Mode == bpf.Native })
}

// TestFollowRename checks that the follower follows the name and not the interface.
func TestFollowRename(t *testing.T) {
	_, receiver := pair(t, 1500)
	p := load(t, bpf.Config{})
	f, _ := follow(t, receiver, p, bpf.Auto, "in0")
	change(receiver, "in0", netlink.LinkSetDown)
	change(receiver, "in0", func(l netlink.Link) error { return netlink.LinkSetName(l, "other0") })
	bpftest.Await(t, "the interface is gone", func() bool { return f.States()[0].Index == 0 })
	if id, _ := programOn(receiver, "other0"); id != 0 {
		t.Errorf("program %d is on the renamed interface", id)
	}
	change(receiver, "other0", func(l netlink.Link) error { return netlink.LinkSetName(l, "in0") })
	bpftest.Await(t, "the interface is back", func() bool { return f.States()[0].Attached() })
}

// TestFollowForeign waits until a foreign program is removed. That program is attached by netlink, because the kernel
// announces no changes of links.
func TestFollowForeign(t *testing.T) {
	_, receiver := pair(t, 1500)
	other := load(t, bpf.Config{Rings: 1})
	change(receiver, "in0", func(l netlink.Link) error { return netlink.LinkSetXdpFd(l, other.XDP().FD()) })
	p := load(t, bpf.Config{})
	f, _ := follow(t, receiver, p, bpf.Auto, "in0")
	var foreign *bpf.ForeignProgramError
	if s := f.States()[0]; s.Attached() || !errors.As(s.Err, &foreign) || foreign.ID != other.ID() {
		t.Errorf("beside a foreign program: %+v", s)
	}
	change(receiver, "in0", func(l netlink.Link) error { return netlink.LinkSetXdpFd(l, -1) })
	bpftest.Await(t, "ours is attached", func() bool { return f.States()[0].Attached() })
}

// TestFollowAddresses takes packets to the addresses that the host has, and to no others.
func TestFollowAddresses(t *testing.T) {
	sender, receiver := pair(t, 1500)
	p := load(t, bpf.Config{Rings: 1, Listeners: []netip.AddrPort{
		netip.MustParseAddrPort("0.0.0.0:5556"), netip.MustParseAddrPort("[::]:5556"), netip.MustParseAddrPort("10.1.0.2:5557"),
		netip.MustParseAddrPort("10.1.0.7:5556"),
	}})
	follow(t, receiver, p, bpf.Native, "in0")
	rings := newDrain(t, p)
	arrives := func(to string, listener int) {
		t.Helper()
		var records []record
		bpftest.Await(t, "a record to "+to, func() bool {
			if len(records) == 0 {
				sendFrom(sender, to, binPacket("call", 100)) // again, as the follower may not have heard yet
			}
			records = rings.records()
			return len(records) > 0 && records[0].listener == uint8(listener)
		})
	}
	arrives("10.1.0.2:5556", 0)
	arrives("[fd00::2]:5556", 1)
	arrives("10.1.0.2:5557", 2)
	for range 2 {
		prefix := netip.MustParsePrefix("10.1.0.3/32")
		addr := &netlink.Addr{IPNet: netlink.NewIPNet(prefix.Addr().AsSlice())}
		change(receiver, "in0", func(l netlink.Link) error { return netlink.AddrAdd(l, addr) })
		arrives("10.1.0.3:5556", 0)
		change(receiver, "in0", func(l netlink.Link) error { return netlink.AddrDel(l, addr) })
		frame := bpftest.Frame{From: netip.MustParseAddrPort("10.1.0.1:5555"), To: netip.MustParseAddrPort("10.1.0.3:5556"), Payload: binPacket("call", 100)}.Bytes()
		bpftest.Await(t, "the address is let go", func() bool {
			answer, _, err := p.XDP().Test(frame)
			if err != nil {
				t.Fatal(err)
			}
			rings.records()
			return answer == xdpPass
		})
	}
	// A listener with a specific address takes precedence over the wildcard, even if the host has the address.
	addr := &netlink.Addr{IPNet: netlink.NewIPNet(netip.MustParseAddr("10.1.0.7").AsSlice())}
	change(receiver, "in0", func(l netlink.Link) error { return netlink.AddrAdd(l, addr) })
	arrives("10.1.0.7:5556", 3)
}
