package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Names of the two ends.
const (
	nearName = "bench0" // where the appliance listens
	farName  = "gen0"   // where frames are sent from
)

// mtu lets packets with many routes go in one frame.
const mtu = 9000

// link is a veth pair between two network namespaces that nothing else is in: near, where the appliance is, and far.
type link struct {
	name                string // of near, if it has one
	near, far           netns.NsHandle
	nearIndex, farIndex int
	nearMAC, farMAC     [6]byte
}

// newLink makes namespaces and pair. With a name the near namespace can be entered by others, as /run/netns/NAME;
// else it can't, and goes with the process at the latest.
func newLink(name string) (_ *link, err error) {
	l := &link{near: -1, far: -1}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	err = keepNamespace(func() error {
		if l.far, err = netns.New(); err != nil {
			return fmt.Errorf("network namespace: %w", err)
		}
		if name == "" {
			l.near, err = netns.New()
		} else if l.near, err = netns.NewNamed(name); err == nil {
			l.name = name // ours from now on, to be removed
		}
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("network namespace %s exists: another bench is running, or a killed one left it; remove it by: ip netns delete %s", name, name)
		} else if err != nil {
			return fmt.Errorf("network namespace %s: %w", name, err)
		}
		veth := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: nearName, MTU: mtu, NumTxQueues: 1, NumRxQueues: 1},
			PeerName:  farName, PeerMTU: mtu, PeerNamespace: netlink.NsFd(int(l.far)),
		}
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("veth pair: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	a := listener().Addr().As4()
	nearNet := &net.IPNet{IP: a[:], Mask: net.CIDRMask(15, 32)}
	if l.nearIndex, l.nearMAC, err = up(l.near, nearName, nearNet); err != nil {
		return nil, err
	}
	l.farIndex, l.farMAC, err = up(l.far, farName, nil)
	return l, err
}

// up brings one end up, with lo, and returns its index and Ethernet address.
func up(ns netns.NsHandle, name string, network *net.IPNet) (index int, mac [6]byte, err error) {
	err = inNamespace(ns, func() error {
		// Clients inside of the namespace reach the appliance at 127.0.0.1.
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			return fmt.Errorf("lo: %w", err)
		}
		end, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if network != nil {
			if err := netlink.AddrAdd(end, &netlink.Addr{IPNet: network}); err != nil {
				return fmt.Errorf("%s: address: %w", name, err)
			}
		}
		if err := netlink.LinkSetUp(end); err != nil {
			return fmt.Errorf("%s: up: %w", name, err)
		}
		index, mac = end.Attrs().Index, [6]byte(end.Attrs().HardwareAddr)
		return nil
	})
	return index, mac, err
}

// close removes the pair and the namespaces.
func (l *link) close() error {
	var errs []error
	if l.nearIndex != 0 {
		errs = append(errs, inNamespace(l.near, func() error {
			end, err := netlink.LinkByIndex(l.nearIndex)
			if err != nil {
				return err
			}
			return netlink.LinkDel(end)
		}))
	}
	for _, ns := range [...]*netns.NsHandle{&l.near, &l.far} {
		if ns.IsOpen() {
			errs = append(errs, ns.Close())
		}
	}
	if l.name != "" {
		errs = append(errs, netns.DeleteNamed(l.name))
	}
	return errors.Join(errs...)
}

// keepNamespace runs fn on a thread that returns to its namespace afterwards. A thread that can't is given up.
func keepNamespace(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("network namespace: %w", err)
			return
		}
		err = fn()
		back := netns.Set(home)
		if back == nil {
			runtime.UnlockOSThread()
		}
		done <- errors.Join(err, home.Close())
	}()
	return <-done
}

// inNamespace runs fn on a thread in a namespace. What it opens belongs to that from then on.
func inNamespace(ns netns.NsHandle, fn func() error) error {
	return keepNamespace(func() error {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return fn()
	})
}
