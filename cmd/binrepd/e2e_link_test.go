package main

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/wire/bin1/bin1test"
)

func nowUnix() int64 { return time.Now().Unix() }

// xdpOf returns the XDP program on an interface, 0 for none.
func xdpOf(ns *bpftest.Namespace, name string) (id uint32) {
	ns.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err == nil && link.Attrs().Xdp != nil && link.Attrs().Xdp.Attached {
			id = link.Attrs().Xdp.ProgId
		}
		return err
	})
	return id
}

// TestKilledProcessLeavesNothing: however the process dies, the program goes with it, and the next one starts.
func TestKilledProcessLeavesNothing(t *testing.T) {
	p := newPair(t)
	d := startDaemon(t, p.appliance, "--listen", listenAt, "--xdp", "native", "--ring-size", "1MiB")
	if xdpOf(p.appliance, "bin0") == 0 {
		t.Fatal("no XDP program while it runs")
	}
	d.kill()
	if id := xdpOf(p.appliance, "bin0"); id != 0 {
		t.Errorf("XDP program %d is left behind", id)
	}
	again := launch(t, p.appliance, "--listen", listenAt, "--xdp", "native", "--control", d.socket, "--ring-size", "1MiB")
	again.client = d.client // the control socket is the one that the dead process left
	again.socket = d.socket
	again.await("the second process", func() bool { return strings.Contains(again.log.String(), "msg=ready") })
	again.stop()
}

// TestInterfaceIsFollowed takes the interface down and up, deletes it and makes it anew, with traffic after each.
func TestInterfaceIsFollowed(t *testing.T) {
	p := newPair(t)
	d := startDaemon(t, p.appliance, "--listen", listenAt, "--interface", "bin0", "--xdp", "native", "--ring-size", "1MiB")
	proxy := bin1test.NewProxy(5, bin1test.Options{Now: nowUnix(), Calls: 40})
	var sent uint64
	play := func() {
		t.Helper()
		conn := dial(t, p.proxy, proxyAddr+":5555", listenAt)
		defer conn.Close()
		const packets = 100
		for range packets {
			if _, err := conn.Write(proxy.Next(nil)); err != nil {
				t.Fatal(err)
			}
		}
		sent += packets
		if s := d.settle(sent); s.Listeners[0].Steered != sent {
			t.Errorf("of %d datagrams %d came through XDP", sent, s.Listeners[0].Steered)
		}
	}
	play()

	p.appliance.Do(func() error {
		link, err := netlink.LinkByName("bin0")
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkSetDown(link), netlink.LinkSetUp(link))
	})
	d.await("the interface to carry traffic again", func() bool { return arrives(p) })
	play()

	p.appliance.Do(func() error {
		link, err := netlink.LinkByName("bin0")
		if err != nil {
			return err
		}
		return netlink.LinkDel(link)
	})
	d.await("the loss of the interface to show in status", func() bool {
		s := d.status()
		return s.Mode == "socket" && s.FallbackReason != ""
	})
	p.connect()
	d.await("the program to be attached again", func() bool { return d.status().Mode == "xdp-native" })
	play()
	if diff := bin1test.DiffListed(d.listed(), listedOf(proxy)); len(diff) > 0 {
		t.Errorf("%d differences, first: %s", len(diff), diff[0])
	}
	d.stop()
}

func listedOf(proxy *bin1test.Proxy) (out []bin1test.Listed) {
	for _, d := range proxy.LiveDetails() {
		out = append(out, bin1test.ListedOf(d))
	}
	return out
}

// arrives tells whether a datagram gets from the proxy's end to the appliance's: an interface that was down needs a moment.
func arrives(p pair) bool {
	ok := false
	p.appliance.Do(func() error {
		l, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ourAddr), Port: 9})
		if err != nil {
			return err
		}
		defer l.Close()
		p.proxy.Do(func() error {
			c, err := net.Dial("udp4", ourAddr+":9")
			if err != nil {
				return nil // no route yet
			}
			defer c.Close()
			_, _ = c.Write([]byte("x"))
			return nil
		})
		_ = l.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, _, err = l.ReadFromUDP(make([]byte, 1))
		ok = err == nil
		return nil
	})
	return ok
}

// TestForeignProgramIsLeftAlone: an XDP program of somebody else's stays where it is and is named.
func TestForeignProgramIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	first := startDaemon(t, p.appliance, "--listen", listenAt, "--xdp", "native", "--ring-size", "1MiB")
	id := xdpOf(p.appliance, "bin0")
	// To a second one, the program of the first is foreign.
	second := launch(t, p.appliance, "--listen", ourAddr+":5557", "--xdp", "native", "--ring-size", "1MiB")
	second.waited = true
	if err := second.cmd.Wait(); err == nil {
		t.Error("the second process did not fail")
	}
	if log := second.log.String(); !strings.Contains(log, "binrepd: ") || !strings.Contains(log, "bin0") {
		t.Errorf("no clear error: %s", log)
	}
	third := startDaemon(t, p.appliance, "--listen", ourAddr+":5558", "--xdp", "auto", "--ring-size", "1MiB")
	if s := third.status(); s.Mode != "socket" || !strings.Contains(s.FallbackReason, "bin0") {
		t.Errorf("mode %s, reason %q", s.Mode, s.FallbackReason)
	}
	third.stop()
	if now := xdpOf(p.appliance, "bin0"); now != id {
		t.Errorf("the program was %d and is %d", id, now)
	}
	first.stop()
}

// TestOtherTrafficIsUntouched: what is not BIN to a listen address passes, on the same interface and even to the same port.
func TestOtherTrafficIsUntouched(t *testing.T) {
	p := newPair(t)
	d := startDaemon(t, p.appliance, "--listen", listenAt, "--xdp", "native", "--ring-size", "1MiB")
	var listener net.Listener
	p.appliance.Do(func() (err error) {
		listener, err = net.Listen("tcp4", ourAddr+":22")
		return err
	})
	defer listener.Close()
	echoed := make(chan error, 1)
	go func() {
		c, err := listener.Accept()
		if err == nil {
			defer c.Close()
			_, err = c.Write([]byte("SSH-2.0-test\r\n"))
		}
		echoed <- err
	}()
	var conn net.Conn
	p.proxy.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp4", ourAddr+":22", patience)
		return err
	})
	defer conn.Close()
	banner := make([]byte, 14)
	if _, err := conn.Read(banner); err != nil || !strings.HasPrefix(string(banner), "SSH-2.0") {
		t.Errorf("banner %q, error %v", banner, err)
	}
	if err := <-echoed; err != nil {
		t.Error(err)
	}
	junk := dial(t, p.proxy, proxyAddr+":5555", listenAt)
	if _, err := junk.Write([]byte("this is no BIN packet at all")); err != nil {
		t.Fatal(err)
	}
	s := d.settle(1)
	if s.Rejected["not_bin"] != 1 || s.Listeners[0].Passed["not_bin"] != 1 || s.Listeners[0].Socket != 1 {
		t.Errorf("rejected %v, passed %v", s.Rejected, s.Listeners[0].Passed)
	}
	d.stop()
}

// TestLinkDownShows: the word stays, and what is wrong with the interface comes after it (fault 24).
func TestLinkDownShows(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for _, xdp := range []string{"off", "native"} {
		t.Run(xdp, func(t *testing.T) {
			d := startDaemon(t, p.appliance, "--listen", listenAt, "--xdp", xdp, "--ring-size", "1MiB")
			conn := dial(t, p.proxy, proxyAddr+":5555", listenAt)
			if _, err := conn.Write(bin1test.NewProxy(5, bin1test.Options{Now: nowUnix(), Calls: 1}).Next(nil)); err != nil {
				t.Fatal(err)
			}
			d.settle(1)
			check := func(want string, strict int) {
				t.Helper()
				d.await(want, func() bool {
					out, _, status := command(t, nil, "status", "--check", "--control", d.socket)
					return string(out) == want+"\n" && status == 0
				})
				if out, _, status := command(t, nil, "status", "--check", "--strict", "--control", d.socket); status != strict {
					t.Errorf("--strict: %s, status %d, want %d", out, status, strict)
				}
			}
			set := func(change func(netlink.Link) error) {
				t.Helper()
				p.appliance.Do(func() error {
					link, err := netlink.LinkByName("bin0")
					return errors.Join(err, change(link))
				})
			}
			check("READY", 0)
			if i := d.status().Interfaces; len(i) != 1 || i[0].Name != "bin0" || i[0].Link != "up" {
				t.Errorf("interfaces %+v", i)
			}
			set(netlink.LinkSetDown)
			check("READY but interface bin0 is down", 6)
			set(netlink.LinkSetUp)
			check("READY", 0)
			d.stop()
		})
	}
}
