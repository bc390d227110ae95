package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestFlapping takes the interface down and up, and away and back, while a proxy goes on sending. What doesn't arrive meanwhile is
// the network's loss; what arrives is in the account, and each time the appliance is back in XDP.
func TestFlapping(t *testing.T) {
	t.Parallel()
	bpftest.RequireKernel(t)
	flaps := 6
	if appliancetest.Chaos() {
		flaps = 60
	}
	p := newPair(t)
	d := startDaemon(t, p.appliance, "--listen", listenAt, "--interface", "bin0", "--xdp", "native", "--rings", "2", "--ring-size", "1MiB")
	var sent, refused atomic.Uint64
	stop := make(chan struct{})
	var traffic sync.WaitGroup
	traffic.Go(func() {
		noise := bin1test.NewProxy(71, bin1test.Options{Now: nowUnix(), Calls: 50, Name: "noise.example.net"})
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			// A socket of its own each time: one that was connected over an interface which has gone never sends again.
			if p.proxy.Try(func() error { return sendOne(noise.Next(nil)) }) == nil {
				sent.Add(1)
			} else {
				refused.Add(1)
			}
		}
	})
	goOn := func() {
		t.Helper()
		d.await("XDP", func() bool { return d.status().Mode == control.ModeNative })
		before := d.status().Listeners[0].Steered
		d.await("traffic through XDP", func() bool { return d.status().Listeners[0].Steered > before+20 })
	}
	goOn()
	for n := range flaps {
		p.appliance.Do(func() error {
			link, err := netlink.LinkByName("bin0")
			if err != nil {
				return err
			}
			if n%3 == 2 {
				return netlink.LinkDel(link)
			}
			return netlink.LinkSetDown(link)
		})
		if n%3 == 2 {
			d.await("its loss to show", func() bool { return d.status().Mode == control.ModeSocket })
			p.connect()
		} else {
			p.appliance.Do(func() error {
				link, err := netlink.LinkByName("bin0")
				return errors.Join(err, netlink.LinkSetUp(link))
			})
		}
		goOn()
	}
	close(stop)
	traffic.Wait()
	noise := settleAny(t, d)
	if noise.Sum() != noise.Seen || noise.Seen > sent.Load() {
		t.Errorf("%d sent, account %+v", sent.Load(), noise.Account)
	}
	// Behind all that it works as ever.
	conn := dial(t, p.proxy, proxyAddr+":5555", listenAt)
	proxy := bin1test.NewProxy(72, bin1test.Options{Now: nowUnix(), Calls: 40, Name: "after.example.net"})
	for range 200 {
		if _, err := conn.Write(proxy.Next(nil)); err != nil {
			t.Fatal(err)
		}
	}
	d.settle(noise.Seen + 200)
	if diff := bin1test.DiffListed(listedWith(d, "@after."), listedOf(proxy)); len(diff) > 0 {
		t.Errorf("%d differences, first: %s", len(diff), diff[0])
	}
	t.Logf("%d times the interface went and came back; %d events were sent and %d could not be; %d arrived, all in the account", flaps, sent.Load(), refused.Load(), noise.Seen)
	d.stop()
}

// sendOne sends one packet from the namespace of the thread.
func sendOne(packet []byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Port: 5556, Addr: [4]byte{10, 99, 0, 2}})
}

// TestTinyRing gives the appliance rings of the smallest size and more than they can take: what finds no room goes to the socket, what
// finds none there either is counted by the kernel, and the account adds up to the datagram.
func TestTinyRing(t *testing.T) {
	bpftest.RequireKernel(t)
	smallest := bpf.LeastRingSize()
	events := 20_000
	if appliancetest.Chaos() {
		events = 1_000_000
	}
	p := newPair(t)
	d := survivorOf(t, p, "--listen", listenAt, "--interface", "bin0", "--xdp", "native", "--rings", "1", "--ring-size", fmt.Sprint(smallest))
	// While it is stopped, everything must overflow.
	if err := d.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	generate := program(t, "bench", "generate", "--interface", "proxy0", "--to", listenAt, "--count", fmt.Sprint(events), "--duration", "2m",
		"--rate", "200000", "--dialogs", "1000", "--mac", hardwareAddr(p.appliance, "bin0").String())
	generate.Path = d.cmd.Path
	p.proxy.Do(generate.Start)
	if err := generate.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s := settleAny(t, d)
	l := s.Listeners[0]
	full := l.Passed["ring_full"]
	t.Logf("a ring of %d bytes, %d events while nobody read: %d seen, %d in the ring, %d found it full; of those the socket had %d and lost %d",
		smallest, events, s.Seen, l.Steered, full, l.Socket, l.Lost["socket_buffer"])
	if full == 0 || l.Steered == 0 || full != l.Socket+l.Lost["socket_buffer"] || s.Sum() != s.Seen {
		t.Errorf("passed %v, socket %d, lost %v; account %+v", l.Passed, l.Socket, l.Lost, s.Account)
	}
	d.stop()
}
