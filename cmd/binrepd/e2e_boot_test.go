package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"binrepd/bpf/bpftest"
)

// addAddress gives an interface of ns an address in CIDR form.
func addAddress(ns *bpftest.Namespace, name, cidr string) {
	ns.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		address, err := netlink.ParseAddr(cidr)
		if err != nil {
			return err
		}
		return netlink.AddrAdd(link, address)
	})
}

// TestAddressComesLate: with --await-address the daemon waits for a listen address that isn't there yet, as during boot.
// An IPv6 address in duplicate address detection is waited for in any case (fault 18).
func TestAddressComesLate(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for _, test := range []struct{ address, cidr, await string }{
		{"192.0.2.99:5556", "192.0.2.99/24", "60s"},
		{"[2001:db8:77::1]:5556", "2001:db8:77::1/64", "60s"},
	} {
		d := launch(t, p.appliance, "--listen", test.address, "--xdp", "off", "--await-address", test.await)
		d.await("a log line about the address", func() bool { return strings.Contains(d.log.String(), "waiting for addresses") })
		addAddress(p.appliance, "bin0", test.cidr)
		d.await("the daemon", func() bool { return strings.Contains(d.log.String(), "msg=ready") })
		d.stop()
	}
	// The kernel now tests this one for duplicates.
	addAddress(p.appliance, "bin0", "2001:db8:78::1/64")
	d := launch(t, p.appliance, "--listen", "[2001:db8:78::1]:5556", "--xdp", "off")
	d.await("the daemon", func() bool { return strings.Contains(d.log.String(), "msg=ready") })
	d.stop()

	d = launch(t, p.appliance, "--listen", "192.0.2.98:5556", "--xdp", "off", "--await-address", "1h")
	d.await("a log line about the address", func() bool { return strings.Contains(d.log.String(), "waiting for addresses") })
	d.waited = true
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("a stop while it waits: %v", err)
	}
}
