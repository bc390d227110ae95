package bpf_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
)

// frameTo returns an untagged frame to the address and the interface.
func frameTo(n *bpftest.Namespace, dev, to string, change func(*bpftest.Frame)) []byte {
	frame := bpftest.Frame{From: netip.MustParseAddrPort("10.200.0.1:5555"), To: netip.MustParseAddrPort(to), Payload: binPacket("call", 100)}
	if change != nil {
		change(&frame)
	}
	f := frame.Bytes()
	n.Do(func() error {
		l, err := netlink.LinkByName(dev)
		if err == nil {
			copy(f, l.Attrs().HardwareAddr)
		}
		return err
	})
	return f
}

// sendFrame sends a frame as it is.
func sendFrame(n *bpftest.Namespace, dev string, frame []byte) {
	index := n.Index(dev)
	n.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index, Halen: 6})
	})
}

// addLink makes an interface on top of in0 and gives it an address. It returns false if the kernel has no such interfaces.
func addLink(n *bpftest.Namespace, link netlink.Link, address string) bool {
	err := n.Try(func() error {
		if parent, err := netlink.LinkByName("in0"); err == nil {
			link.Attrs().ParentIndex = parent.Attrs().Index
		}
		if err := netlink.LinkAdd(link); err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
	if errors.Is(err, unix.EOPNOTSUPP) {
		return false
	}
	n.Do(func() error { return err })
	setAddress(n, link.Attrs().Name, address, netlink.AddrAdd)
	return true
}

func setAddress(n *bpftest.Namespace, dev, address string, how func(netlink.Link, *netlink.Addr) error) {
	prefix := netip.MustParsePrefix(address)
	change(n, dev, func(l netlink.Link) error {
		return how(l, &netlink.Addr{IPNet: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}})
	})
}

func listeners(list ...string) (all []netip.AddrPort) {
	for _, l := range list {
		all = append(all, netip.MustParseAddrPort(l))
	}
	return all
}

// following returns the names of the interfaces to which the program is attached.
func following(f *bpf.Follower) string {
	var names []string
	for _, s := range f.States() {
		if s.Attached() {
			names = append(names, s.Name)
		}
	}
	return strings.Join(names, " ")
}

// TestFollowChecksFrames sends frames that the kernel would drop, next to those that it would take: another VLAN's tag, another
// host's MAC address, an address of this host as the source.
func TestFollowChecksFrames(t *testing.T) {
	for _, promiscuous := range []bool{false, true} {
		t.Run(fmt.Sprintf("promiscuous %v", promiscuous), func(t *testing.T) {
			sender, receiver := pair(t, 1500)
			listen, home := "10.2.0.2:5556", bpf.Steered
			for id, address := range map[int]string{100: "10.2.0.2/24", 200: "10.3.0.2/24"} {
				if !addLink(receiver, &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("in0.%d", id)}, VlanId: id}, address) {
					listen, home = "10.1.0.2:5556", bpf.OtherVLAN
					t.Log("this kernel has no VLANs: every tag is that of another VLAN")
				}
			}
			p := load(t, bpf.Config{Rings: 1, Listeners: listeners(listen)})
			newDrain(t, p)
			var f *bpf.Follower
			receiver.Do(func() (err error) {
				f, err = bpf.Follow(p, bpf.FollowConfig{Mode: bpf.Native, Promiscuous: promiscuous})
				return err
			})
			defer f.Close()
			if names := following(f); names != "in0" {
				t.Fatalf("attached to %q, not to the interface below the VLAN", names)
			}
			tag := func(id uint16) func(*bpftest.Frame) {
				return func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{{Type: 0x8100, VLAN: id}} }
			}
			elsewhere := frameTo(receiver, "in0", listen, nil)
			elsewhere[5] ^= 1
			for _, c := range []struct {
				name    string
				frame   []byte
				verdict bpf.Verdict
				always  bool // also if promiscuous
			}{
				{"untagged", frameTo(receiver, "in0", listen, nil), bpf.Steered, true},
				{"its VLAN", frameTo(receiver, "in0", listen, tag(100)), home, home == bpf.Steered},
				{"priority", frameTo(receiver, "in0", listen, tag(0)), bpf.Steered, true},
				{"another VLAN of this host", frameTo(receiver, "in0", listen, tag(200)), bpf.OtherVLAN, false},
				{"another VLAN", frameTo(receiver, "in0", listen, tag(300)), bpf.OtherVLAN, false},
				{"another host", elsewhere, bpf.OtherMAC, false},
				{"from this host", frameTo(receiver, "in0", listen, func(f *bpftest.Frame) {
					f.From = netip.MustParseAddrPort("10.1.0.2:5555")
				}), bpf.Martian, true},
			} {
				want := c.verdict
				if promiscuous && !c.always {
					want = bpf.Steered
				}
				before, err := p.Counters()
				if err != nil {
					t.Fatal(err)
				}
				sendFrame(sender, "proxy0", c.frame)
				bpftest.Await(t, c.name+" is "+want.String(), func() bool {
					now, err := p.Counters()
					return err == nil && now.Listeners[0][want] == before.Listeners[0][want]+1
				})
			}
		})
	}
}

// TestFollowMoves moves the listen address to another interface, renames that, and removes the address and the interface.
func TestFollowMoves(t *testing.T) {
	sender, receiver := pair(t, 1500)
	bpftest.Veth(1500, bpftest.End{In: sender, Name: "proxy1"},
		bpftest.End{In: receiver, Name: "in1", Addresses: []netip.Prefix{netip.MustParsePrefix("10.4.0.2/24")}})
	p := load(t, bpf.Config{Rings: 1, Listeners: listeners("10.5.0.1:5556")})
	rings := newDrain(t, p)
	f, _ := follow(t, receiver, p, bpf.Auto)
	if names := following(f); names != "" {
		t.Errorf("attached to %q before there is the address", names)
	}
	setAddress(receiver, "in0", "10.5.0.1/32", netlink.AddrAdd)
	bpftest.Await(t, "attached to in0", func() bool { return following(f) == "in0" })
	setAddress(receiver, "in0", "10.5.0.1/32", netlink.AddrDel)
	setAddress(receiver, "in1", "10.5.0.1/32", netlink.AddrAdd)
	bpftest.Await(t, "attached to in1", func() bool { return following(f) == "in1" })
	if id, _ := programOn(receiver, "in0"); id != 0 {
		t.Error("in0 still has the program")
	}
	sendFrame(sender, "proxy1", frameTo(receiver, "in1", "10.5.0.1:5556", nil))
	bpftest.Await(t, "a record", func() bool { return len(rings.records()) == 1 })
	change(receiver, "in1", func(l netlink.Link) error { return netlink.LinkSetName(l, "wan0") })
	bpftest.Await(t, "attached to the renamed interface", func() bool { return following(f) == "wan0" })
	if id, _ := programOn(receiver, "wan0"); id != p.ID() {
		t.Errorf("program %d is on the renamed interface, ours is %d", id, p.ID())
	}
	setAddress(receiver, "wan0", "10.5.0.1/32", netlink.AddrDel)
	change(receiver, "wan0", func(l netlink.Link) error { return netlink.LinkSetAlias(l, "still here") })
	setAddress(receiver, "wan0", "10.5.0.9/32", netlink.AddrAdd)
	if names := following(f); names != "wan0" {
		t.Errorf("attached to %q after the address has gone", names)
	}
	change(receiver, "wan0", netlink.LinkDel)
	bpftest.Await(t, "nothing is followed", func() bool { return len(f.States()) == 0 })
}

// TestFollowKinds chooses the interface where frames to the address pass, for each kind of interface that has the address.
func TestFollowKinds(t *testing.T) {
	for _, c := range []struct {
		name, listen, want, entrances string
		set                           func(*bpftest.Namespace) bool
	}{
		{"veth", "10.1.0.2:5556", "in0", "[[in0]]", nil},
		{"wildcard", "0.0.0.0:5556", "in0", "[[in0]]", nil},
		{"loopback", "127.0.0.1:5556", "lo", "[[lo]]", nil},
		{"macvlan", "10.6.0.1:5556", "in0", "[[in0]]", func(n *bpftest.Namespace) bool {
			return addLink(n, &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "mac0"}, Mode: netlink.MACVLAN_MODE_BRIDGE}, "10.6.0.1/24")
		}},
		{"tun", "10.6.0.1:5556", "", "[[]]", func(n *bpftest.Namespace) bool {
			return addLink(n, &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun0"}, Mode: netlink.TUNTAP_MODE_TUN}, "10.6.0.1/24")
		}},
		{"address on lo", "10.6.0.1:5556", "in0", "[[in0]]", func(n *bpftest.Namespace) bool {
			setAddress(n, "lo", "10.6.0.1/32", netlink.AddrAdd)
			return true
		}},
		{"dummy", "10.6.0.1:5556", "in0", "[[in0]]", func(n *bpftest.Namespace) bool {
			return addLink(n, &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "dum0"}}, "10.6.0.1/32")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sender, receiver := pair(t, 1500)
			if c.set != nil && !c.set(receiver) {
				t.Skipf("SKIPPED, this kernel has no interfaces of the kind %s", c.name)
			}
			p := load(t, bpf.Config{Rings: 1, Listeners: listeners(c.listen)})
			rings := newDrain(t, p)
			f, _ := follow(t, receiver, p, bpf.Auto)
			if names := following(f); names != c.want || fmt.Sprint(f.Entrances()) != c.entrances {
				t.Fatalf("attached to %q, want %q; entrances %v", names, c.want, f.Entrances())
			}
			if c.want != "in0" {
				return
			}
			to, mac := strings.Replace(c.listen, "0.0.0.0", "10.1.0.2", 1), "in0"
			if c.name == "macvlan" {
				mac = "mac0"
			}
			sendFrame(sender, "proxy0", frameTo(receiver, mac, to, nil))
			bpftest.Await(t, "a record", func() bool { return len(rings.records()) == 1 })
		})
	}
}

// TestFollowAlternativeName follows an interface by an alternative name, which may be long.
func TestFollowAlternativeName(t *testing.T) {
	_, receiver := pair(t, 1500)
	for _, name := range []string{"wan", "enp0s31f6_to_the_proxies"} {
		change(receiver, "in0", func(l netlink.Link) error { return netlink.LinkAddAltName(l, name) })
		p := load(t, bpf.Config{})
		f, _ := follow(t, receiver, p, bpf.Native, name)
		if s := f.States()[0]; !s.Attached() || s.Name != name || s.Index != receiver.Index("in0") {
			t.Errorf("%s: %+v", name, s)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFollowWithoutFiles makes the process run out of file descriptors while an interface changes. The program stays
// attached, the trouble is shown, and afterwards the follower catches up by itself.
func TestFollowWithoutFiles(t *testing.T) {
	_, receiver := pair(t, 1500)
	p := load(t, bpf.Config{})
	f, book := follow(t, receiver, p, bpf.Native, "in0")
	index := receiver.Index("in0")
	var handle *netlink.Handle
	receiver.Do(func() (err error) { handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); return err })
	defer handle.Close()
	link, err := handle.LinkByIndex(index)
	if err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 3
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}
	err = handle.LinkSetDown(link)
	deadline := time.Now().Add(30 * time.Second)
	for f.Trouble() == nil && time.Now().Before(deadline) && err == nil {
		time.Sleep(time.Millisecond)
	}
	trouble := f.Trouble()
	restore()
	if err != nil || trouble == nil {
		t.Fatalf("the change: %v; trouble: %v", err, trouble)
	}
	if id, _ := programOn(receiver, "in0"); id != p.ID() || !f.States()[0].Attached() {
		t.Errorf("program %d is attached, ours is %d; %+v", id, p.ID(), f.States())
	}
	bpftest.Await(t, "the follower has caught up", func() bool { return f.Trouble() == nil && !f.States()[0].Up })
	if book.count("XDP attached") != 1 {
		t.Errorf("log:\n%s", &book.lines)
	}
}

// TestFollowRetries attaches to an interface where another program was in the way, though the kernel announces no change when
// the link of that program ends.
func TestFollowRetries(t *testing.T) {
	_, receiver := pair(t, 1500)
	_, l := foreignProgram(t, receiver, "in0", 0)
	p := load(t, bpf.Config{})
	f, _ := follow(t, receiver, p, bpf.Auto, "in0")
	if s := f.States()[0]; s.Attached() {
		t.Fatalf("%+v", s)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	bpftest.Await(t, "ours is attached", func() bool { return f.States()[0].Attached() })
}

// TestShortRuns sends runs of packets by UDP segmentation that are short enough for a ring. In generic mode, the program sees
// them as one datagram and leaves them to the kernel, which splits them for the socket.
func TestShortRuns(t *testing.T) {
	for _, c := range []struct{ dev, to string }{{"in0", "10.1.0.2:5556"}, {"lo", "127.0.0.1:5556"}, {"lo", "[::1]:5556"}} {
		t.Run(c.dev+" "+c.to, func(t *testing.T) {
			sender, receiver := pair(t, 1500)
			if c.dev == "lo" {
				sender = receiver
			}
			p := load(t, bpf.Config{Rings: 1, Listeners: listeners(c.to)})
			rings := newDrain(t, p)
			var in net.PacketConn
			receiver.Do(func() (err error) { in, err = net.ListenPacket("udp", c.to); return err })
			defer in.Close()
			follow(t, receiver, p, bpf.Generic, c.dev)
			packet := binPacket("one-of-a-run", 400)
			sender.Do(func() error {
				conn, err := net.Dial("udp", c.to)
				if err != nil {
					return err
				}
				defer conn.Close()
				raw, err := conn.(*net.UDPConn).SyscallConn()
				if err != nil {
					return err
				}
				var e error
				if err := raw.Control(func(fd uintptr) { e = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, 400) }); err != nil || e != nil {
					return fmt.Errorf("%w %w", err, e)
				}
				_, err = conn.Write([]byte(strings.Repeat(string(packet), 10)))
				return err
			})
			if err := in.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 10000)
			for i := range 10 {
				if n, _, err := in.ReadFrom(b); err != nil || string(b[:n]) != string(packet) {
					t.Fatalf("packet %d: %d bytes, %v", i, n, err)
				}
			}
			counters, err := p.Counters()
			if err != nil {
				t.Fatal(err)
			}
			if l := counters.Listeners[0]; l[bpf.Merged] != 1 || l[bpf.Steered] != 0 || len(rings.records()) != 0 {
				t.Errorf("counters %+v", l)
			}
		})
	}
}
