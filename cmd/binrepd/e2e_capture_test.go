package main

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

// verify compares what a daemon lists with what the sender of a capture listed, and its counts with the sender's.
func verify(t *testing.T, d *daemon, c *bin1test.Capture) control.Status {
	t.Helper()
	s := d.settle(uint64(len(c.Datagrams)))
	for _, line := range bin1test.DiffListed(d.listed(), c.Expected) {
		t.Error(line)
	}
	for name, got := range map[string]uint64{
		"create_sent": s.CreateRecv, "update_sent": s.UpdateRecv, "delete_sent": s.DeleteRecv, "active_dialogs": s.Dialogs,
	} {
		if got != c.Statistics[name] {
			t.Errorf("the sender's %s is %d, ours is %d", name, c.Statistics[name], got)
		}
	}
	if len(s.Sources) != 1 || s.Sources[0].Address != proxyAddr+":5555" || s.Sources[0].Events != s.Seen {
		t.Errorf("sources: %+v", s.Sources)
	}
	return s
}

// play sends frames, and waits now and then until d has seen all of them: a veth has room for 256, and loses the rest.
func (w *wire) play(d *daemon, frames []bin1test.Frame) {
	w.t.Helper()
	seen := d.status().Seen
	for i, f := range frames {
		w.send(f.Data)
		const flags, moreFragments = 20, 0x20 // of an Ethernet frame with IPv4
		if f.Data[flags]&moreFragments == 0 {
			seen++
		}
		if i%100 == 99 || i == len(frames)-1 {
			d.settle(seen)
		}
	}
}

// TestCapturesThroughNativeXDP sends the frames of the captures, fragments and all, over a veth pair.
func TestCapturesThroughNativeXDP(t *testing.T) {
	t.Parallel()
	bpftest.RequireKernel(t)
	for _, c := range bin1test.Captures(t) {
		t.Run(c.Name, func(t *testing.T) {
			p := newPair(t)
			d := startDaemon(t, p.appliance, "--listen", listenAt, "--xdp", "native", "--rings", "2", "--ring-size", "1MiB")
			w := newWire(t, p.proxy, "proxy0", hardwareAddr(p.appliance, "bin0"))
			w.play(d, c.Frames)
			s := verify(t, d, c)
			l := s.Listeners[0]
			if s.Mode != "xdp-native" || l.Socket == 0 || l.Steered != s.Seen-l.Socket || l.Passed["fragment"] == 0 {
				t.Errorf("mode %s, %d steered, %d through the socket, passed %v", s.Mode, l.Steered, l.Socket, l.Passed)
			}
			d.stop()
		})
	}
}

// TestCapturesThroughGenericXDPAndSockets sends the datagrams of the captures over lo.
func TestCapturesThroughGenericXDPAndSockets(t *testing.T) {
	t.Parallel()
	bpftest.RequireKernel(t)
	for _, c := range bin1test.Captures(t) {
		for _, xdp := range []string{"generic", "auto", "off"} {
			t.Run(c.Name+"/"+xdp, func(t *testing.T) {
				ns := bpftest.NewNamespace(t)
				ns.Do(func() error { // like a network with two hosts and an MTU that large dialogs exceed
					lo, err := netlink.LinkByName("lo")
					if err != nil {
						return err
					}
					for _, a := range []string{proxyAddr, ourAddr} {
						addr, err := netlink.ParseAddr(a + "/32")
						if err != nil {
							return err
						}
						if err := netlink.AddrAdd(lo, addr); err != nil {
							return err
						}
					}
					return netlink.LinkSetMTU(lo, 1500)
				})
				// Without --interface, lo is left out: packets from other hosts don't pass there.
				d := startDaemon(t, ns, "--listen", listenAt, "--interface", "lo", "--xdp", xdp, "--rings", "2", "--ring-size", "1MiB")
				conn := dial(t, ns, proxyAddr+":5555", listenAt)
				for _, dg := range c.Datagrams {
					if _, err := conn.Write(dg.Payload); err != nil {
						t.Fatal(err)
					}
				}
				s := verify(t, d, c)
				l := s.Listeners[0]
				switch {
				case xdp == "off":
					if s.Mode != "socket" || l.Steered != 0 || l.Socket != s.Seen || len(s.Interfaces) != 1 || s.Interfaces[0].Mode != "socket" {
						t.Errorf("mode %s, %d steered, interfaces %v", s.Mode, l.Steered, s.Interfaces)
					}
				case s.Mode != "xdp-generic" || l.Steered == 0 || l.Socket == 0 || l.Steered+l.Socket != s.Seen:
					t.Errorf("mode %s, %d steered, %d through the socket", s.Mode, l.Steered, l.Socket)
				case (xdp == "auto") != (s.FallbackReason != ""):
					t.Errorf("fallback reason of --xdp %s: %q", xdp, s.FallbackReason)
				}
				d.stop()
			})
		}
	}
}

// TestIPv6AndWildcards listens on both families at once, by wildcard, and gets the same calls through both: each is applied once.
func TestIPv6AndWildcards(t *testing.T) {
	p := newPair(t)
	for ns, addr := range map[*bpftest.Namespace]string{p.proxy: "fd00::1/64", p.appliance: "fd00::2/64"} {
		name := map[*bpftest.Namespace]string{p.proxy: "proxy0", p.appliance: "bin0"}[ns]
		ns.Do(func() error {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			a, err := netlink.ParseAddr(addr)
			if err != nil {
				return err
			}
			a.Flags = 0x02 // IFA_F_NODAD: usable at once
			return netlink.AddrAdd(link, a)
		})
	}
	d := startDaemon(t, p.appliance, "--listen", "0.0.0.0:5556", "--listen", "[::]:5556", "--interface", "bin0")
	v4 := dial(t, p.proxy, proxyAddr+":5555", listenAt)
	v6 := dial(t, p.proxy, "[fd00::1]:5555", "[fd00::2]:5556")
	proxy := bin1test.NewProxy(1, bin1test.Options{Now: nowUnix(), Calls: 50})
	const packets = 400
	for n := range uint64(packets) {
		if n%50 == 49 {
			d.settle(2 * n) // no more at once than a veth has room for
		}
		packet := proxy.Next(nil)
		for _, conn := range []interface{ Write([]byte) (int, error) }{v4, v6} {
			if _, err := conn.Write(packet); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := d.settle(2 * packets)
	if s.Applied != packets || s.Duplicate != packets {
		t.Errorf("applied %d, duplicate %d, want %d of each", s.Applied, s.Duplicate, packets)
	}
	for i, l := range s.Listeners {
		if l.Seen != packets || l.Steered != packets {
			t.Errorf("listener %s: seen %d, steered %d, want %d", l.Address, l.Seen, l.Steered, packets)
		}
		if _, err := netip.ParseAddrPort(l.Address); err != nil {
			t.Errorf("listener %d: address %q", i, l.Address)
		}
	}
	if !slices.ContainsFunc(s.Sources, func(s control.SourceStatus) bool { return s.Address == "[fd00::1]:5555" }) {
		t.Errorf("sources: %+v", s.Sources)
	}
	d.stop()
}
