package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/bpf/bpftest"
)

// impairment is what a relay does to frames: shares of 0 to 1.
type impairment struct{ loss, duplicates, reordering, corruption, unsummed float64 }

// badNetwork is worse than any that proxies are connected by. Half of what it corrupts has no UDP checksum, so that
// the kernel can't tell.
var badNetwork = impairment{loss: 0.05, duplicates: 0.05, reordering: 0.25, corruption: 0.02, unsummed: 0.5}

// reach is how many frames one that is held back is overtaken by, at most.
const reach = 64

// relay is the network between a proxy and an appliance: a namespace between theirs, in which frames are taken from one veth pair
// and put on another, with everything that may happen on the way. It keeps what it put there, in order.
type relay struct {
	pair
	t      *testing.T
	middle *bpftest.Namespace
	from   int // packet sockets
	to     int
	random *rand.Rand
	does   impairment
	far    net.HardwareAddr // of the appliance

	whole   atomic.Uint64 // datagrams that came, by their last fragments
	out     atomic.Uint64 // frames put on the wire of the appliance
	quit    chan struct{}
	done    chan error
	held    []heldFrame
	emitted [][]byte
	bad     atomic.Bool // impair what comes; without it all is passed on as it is
	count   struct{ frames, lost, duplicated, reordered, corrupted int }
}

type heldFrame struct {
	frame []byte
	after int // so many more
}

// newRelay makes the three namespaces. Frames are impaired from the moment on at which bad is set.
func newRelay(t *testing.T, seed uint64, does impairment) *relay {
	t.Helper()
	r := &relay{
		t:      t,
		pair:   pair{proxy: bpftest.NewNamespace(t), appliance: bpftest.NewNamespace(t)},
		middle: bpftest.NewNamespace(t), does: does, random: rand.New(rand.NewPCG(seed, 7)),
		quit: make(chan struct{}), done: make(chan error, 1),
	}
	bpftest.Veth(1500,
		bpftest.End{In: r.proxy, Name: "proxy0", Addresses: []netip.Prefix{netip.MustParsePrefix(proxyAddr + "/24")}},
		bpftest.End{In: r.middle, Name: "left0"})
	bpftest.Veth(1500,
		bpftest.End{In: r.middle, Name: "right0"},
		bpftest.End{In: r.appliance, Name: "bin0", Addresses: []netip.Prefix{netip.MustParsePrefix(ourAddr + "/24")}})
	r.far = hardwareAddr(r.appliance, "bin0")
	r.proxy.Do(func() error { // nothing goes back, so that nobody would answer to ARP
		link, err := netlink.LinkByName("proxy0")
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{
			LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.ParseIP(ourAddr), HardwareAddr: r.far,
		})
	})
	r.from = packetSocket(t, r.middle, "left0")
	r.to = packetSocket(t, r.middle, "right0")
	for _, err := range []error{
		unix.SetsockoptInt(r.from, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
		// How soon the loop sees that it is to end.
		unix.SetsockoptTimeval(r.from, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20_000}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	go func() { r.done <- r.run() }()
	t.Cleanup(r.stop)
	return r
}

func packetSocket(t *testing.T, ns *bpftest.Namespace, name string) (fd int) {
	t.Helper()
	const every = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // big endian
	ns.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, every); err != nil {
			return err
		}
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: every, Ifindex: link.Attrs().Index})
	})
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// stop ends the relay; what it holds back is let go.
func (r *relay) stop() {
	select {
	case <-r.quit:
		return
	default:
	}
	close(r.quit)
	if err := <-r.done; err != nil {
		r.t.Errorf("relay: %v", err)
	}
}

func (r *relay) run() error {
	buffer := make([]byte, 2048)
	for {
		n, from, err := unix.Recvfrom(r.from, buffer, 0)
		if err == unix.EAGAIN || err == unix.EINTR {
			select {
			case <-r.quit:
				return r.release(true)
			default:
			}
			if err = r.release(true); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if l, ok := from.(*unix.SockaddrLinklayer); ok && l.Pkttype == unix.PACKET_OUTGOING || !isUDP(buffer[:n]) {
			continue
		}
		frame := slices.Clone(buffer[:n])
		copy(frame, r.far)
		last := binary.BigEndian.Uint16(frame[20:])&0x2000 == 0
		complete(frame)
		if err := r.pass(frame); err != nil {
			return err
		}
		if last {
			r.whole.Add(1)
		}
	}
}

// isUDP tells of UDP over IPv4 without options.
func isUDP(f []byte) bool {
	return len(f) >= 14+20+8 && f[12] == 8 && f[13] == 0 && f[14] == 0x45 && f[14+9] == 17
}

func isFragment(f []byte) bool { return binary.BigEndian.Uint16(f[20:])&0x3fff != 0 }

// complete computes the UDP checksum, which the sender's kernel leaves to a device that isn't there.
func complete(f []byte) {
	if isFragment(f) {
		return
	}
	udp := f[34 : 14+int(binary.BigEndian.Uint16(f[16:]))]
	udp[6], udp[7] = 0, 0
	sum := ^udpSum(f, udp)
	if sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(udp[6:], sum)
}

// udpSum adds up a UDP datagram with the pseudo header of the IPv4 packet in f (RFC 768). With a right checksum it is 0xffff.
func udpSum(f, udp []byte) uint16 {
	sum := uint32(17) + uint32(len(udp))
	for _, part := range [][]byte{f[26:34], udp} {
		for i, b := range part {
			sum += uint32(b) << (8 * (1 - i%2))
		}
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// pass does with a frame what the network does.
func (r *relay) pass(frame []byte) error {
	if !r.bad.Load() {
		return r.emit(frame)
	}
	r.count.frames++
	copies := 1
	switch x := r.random.Float64(); {
	case x < r.does.loss:
		copies = 0
		r.count.lost++
	case x < r.does.loss+r.does.duplicates:
		copies = 2
		r.count.duplicated++
	}
	for range copies {
		f := slices.Clone(frame)
		if r.random.Float64() < r.does.corruption {
			r.corrupt(f)
			r.count.corrupted++
		}
		if r.random.Float64() < r.does.reordering {
			r.count.reordered++
			r.held = append(r.held, heldFrame{f, 1 + r.random.IntN(reach)})
		} else if err := r.emit(f); err != nil {
			return err
		}
	}
	return r.release(false)
}

// corrupt turns over one to four bits somewhere behind the Ethernet header, whose own sum a driver checks.
func (r *relay) corrupt(f []byte) {
	if first := binary.BigEndian.Uint16(f[20:])&0x1fff == 0; first && r.random.Float64() < r.does.unsummed {
		f[40], f[41] = 0, 0
	}
	for range 1 + r.random.IntN(4) {
		f[14+r.random.IntN(len(f)-14)] ^= 1 << r.random.IntN(8)
	}
}

// release lets go what has been held back for long enough, or all of it.
func (r *relay) release(all bool) error {
	kept := r.held[:0]
	var due [][]byte
	for _, h := range r.held {
		if h.after--; h.after <= 0 || all {
			due = append(due, h.frame)
		} else {
			kept = append(kept, h)
		}
	}
	r.held = kept
	for _, f := range due {
		if err := r.emit(f); err != nil {
			return err
		}
	}
	return nil
}

func (r *relay) emit(f []byte) error {
	r.emitted = append(r.emitted, f)
	r.out.Add(1)
	_, err := unix.Write(r.to, f)
	return err
}
