package bpftest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Namespace is a network namespace with its own thread. It ends with the test.
type Namespace struct {
	t     testing.TB
	calls chan func()
	done  chan struct{}
}

// NewNamespace makes a namespace in which lo is up. It calls RequireKernel.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	RequireKernel(t)
	n := &Namespace{t: t, calls: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	go func() {
		defer close(n.done)
		// Never unlocked: the runtime ends the thread, and so the namespace, with the goroutine.
		runtime.LockOSThread()
		ready <- unix.Unshare(unix.CLONE_NEWNET)
		for call := range n.calls {
			call()
		}
	}()
	t.Cleanup(func() { close(n.calls); <-n.done })
	if err := <-ready; err != nil {
		t.Fatalf("make network namespace: %v", err)
	}
	n.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	return n
}

// Do runs fn on the thread of the namespace and fails the test if it returns an error. Sockets that fn opens, processes
// that it starts and programs that it attaches belong to the namespace. If fn calls t.FailNow, the namespace can't be
// used any more.
func (n *Namespace) Do(fn func() error) {
	n.t.Helper()
	if err := n.Try(fn); err != nil {
		n.t.Fatal(err)
	}
}

// Try is like Do, for errors that are expected.
func (n *Namespace) Try(fn func() error) error {
	result := make(chan error, 1)
	select {
	case n.calls <- func() { result <- fn() }:
	case <-n.done:
	}
	select {
	case err := <-result:
		return err
	case <-n.done: // a t.FailNow ended the thread
		return errors.New("the thread of the namespace has ended")
	}
}

// Attached reports whether the network interface has an XDP program.
func (n *Namespace) Attached(name string) (yes bool) {
	n.t.Helper()
	n.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err == nil && l.Attrs().Xdp != nil {
			yes = l.Attrs().Xdp.Attached
		}
		return err
	})
	return yes
}

// Index returns the index of the interface.
func (n *Namespace) Index(name string) int {
	n.t.Helper()
	var index int
	n.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		index = l.Attrs().Index
		return nil
	})
	return index
}

// End is one end of a veth pair.
type End struct {
	In        *Namespace
	Name      string
	Addresses []netip.Prefix
}

// Veth makes a pair of connected interfaces with this MTU, sets their addresses and takes them up. It returns when both
// can carry traffic.
func Veth(mtu int, a, b End) {
	a.In.t.Helper()
	var bNS int
	b.In.Do(func() (err error) {
		bNS, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	defer unix.Close(bNS)
	a.In.Do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = a.Name, mtu
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: b.Name, PeerMTU: uint32(mtu), PeerNamespace: netlink.NsFd(bNS)})
	})
	a.up()
	b.up()
}

func (e End) up() {
	e.In.t.Helper()
	e.In.Do(func() error {
		l, err := netlink.LinkByName(e.Name)
		if err != nil {
			return err
		}
		var errs []error
		for _, p := range e.Addresses {
			addr := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
			if p.Addr().Is6() {
				addr.Flags = unix.IFA_F_NODAD // usable at once
			}
			errs = append(errs, netlink.AddrAdd(l, addr))
		}
		return errors.Join(append(errs, netlink.LinkSetUp(l))...)
	})
}
