package main

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"binrepd/userspace/watch/control"
)

// atOnce is the number of packets that tests send before they let an appliance take them: the receive buffer of who has no privilege
// has room for more of those that proxies send, and so have a veth pair and the smallest ring.
const atOnce = 50

// feed sends n packets to an appliance that has seen datagrams before, so that none is lost however busy the host is, and waits until all
// have their place in the account. packet gives the n-th.
func (d *daemon) feed(conn net.Conn, seen, n uint64, packet func(n uint64) []byte) (s control.Status) {
	d.t.Helper()
	for sent := uint64(0); sent < n; {
		for end := min(sent+atOnce, n); sent < end; sent++ {
			if _, err := conn.Write(packet(sent)); err != nil {
				d.t.Fatal(err)
			}
		}
		s = d.settle(seen + sent)
	}
	return s
}

// smallDisk mounts a disk of 2 MiB.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}
