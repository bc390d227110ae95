//go:build !portable

package socket

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/userspace/in/packets"
)

// fullSocket returns a socket whose send buffer is full enough for poll to say so, with an endpoint to which
// nothing more gets through: messages lie in the queue of an interface that passes 1,000 bytes a second.
func fullSocket(t *testing.T, cfg Config) (s *Socket, slow packets.Endpoint) {
	t.Helper()
	enterNamespace(t, 1500)
	slow = slowInterface(t)
	cfg.SendBuffer = 64 << 10
	s = listen(t, netip.MustParseAddrPort("0.0.0.0:0"), cfg)
	for writable(t, s) { // up to half of it is in use
		send(t, s, slow, make([]byte, 1000))
	}
	for range 12 { // one leaves each second: more than that half stays in use for the test's time
		send(t, s, slow, make([]byte, 1000))
	}
	return s, slow
}

func writable(t *testing.T, s *Socket) (yes bool) {
	t.Helper()
	control(t, s, func(fd int) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
		if err != nil {
			t.Error("poll: ", err)
		}
		yes = n > 0
	})
	return yes
}

// slowInterface makes one, as one end of a veth pair, and returns an endpoint behind it.
func slowInterface(t *testing.T) packets.Endpoint {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal("slow interface: ", err)
		}
	}
	near := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "near"}, PeerName: "far"}
	must(netlink.LinkAdd(near))
	far, err := netlink.LinkByName("far")
	must(err)
	must(netlink.LinkSetUp(near))
	must(netlink.LinkSetUp(far))
	address, err := netlink.ParseAddr("192.0.2.1/24")
	must(err)
	must(netlink.AddrAdd(near, address))
	must(netlink.NeighAdd(&netlink.Neigh{
		LinkIndex:    near.Index,
		State:        netlink.NUD_PERMANENT,
		IP:           net.IPv4(192, 0, 2, 2),
		HardwareAddr: far.Attrs().HardwareAddr,
	}))
	must(netlink.QdiscAdd(&netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: near.Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       1000,
		Limit:      1 << 24,
		Buffer:     4 * (1e9 / 64), // 4 s in ticks of 64 ns: a burst of 4,000 bytes
	}))
	return packets.EndpointOf(netip.MustParseAddrPort("192.0.2.2:5556"))
}

func TestCloseWakesSend(t *testing.T) {
	s, slow := fullSocket(t, Config{})
	m := make([]packets.Message, 1000)
	for i := range m {
		m[i] = packets.Message{Payload: make([]byte, 1000), To: slow}
	}
	type result struct {
		n   int
		err error
	}
	sent := make(chan result, 1)
	go func() {
		n, err := s.Send(m)
		sent <- result{n, err}
	}()
	self := packets.EndpointOf(netip.AddrPortFrom(loopback4.Addr(), s.LocalAddr().Port()))
	send(t, newSender(t, loopback4, Config{}), self, []byte("in"))
	if d := collect(t, s, 1, 1)[0]; string(d.Payload) != "in" { // meanwhile receiving goes on
		t.Errorf("got %q", d.Payload)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if r := <-sent; r.n == len(m) || r.err != net.ErrClosed {
		t.Errorf("sent %d: %v, want fewer than %d and net.ErrClosed", r.n, r.err, len(m))
	}
}

// refusedConn counts how often Go's poller refused to wait.
type refusedConn struct {
	syscall.RawConn
	refusals atomic.Int64
}

func (c *refusedConn) Read(f func(uintptr) bool) error {
	err := c.RawConn.Read(f)
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.refusals.Add(1)
	}
	return err
}

// TestRefusalWhileSendBufferIsFull makes poll report only an error, so that Go's poller refuses to wait.
// The send buffer takes a message more than poll thinks.
func TestRefusalWhileSendBufferIsFull(t *testing.T) {
	reports := make(chan error, 10)
	s, _ := fullSocket(t, Config{})
	s.Watch(func(_ packets.Endpoint, err error) { reports <- err })
	c := &refusedConn{RawConn: s.raw}
	s.raw = c
	self := packets.EndpointOf(netip.AddrPortFrom(loopback4.Addr(), s.LocalAddr().Port()))
	dead, from := deadEndpoint(t, loopback4), newSender(t, loopback4, Config{})
	result := make(chan error, 1)
	b := packets.NewBatch(1)
	// The poller refuses only if Receive comes back to it before the datagram that ends the waiting. So this gives
	// it some time, and several tries.
	for i := 0; i < 20 && c.refusals.Load() == 0; i++ {
		go func() { result <- s.Receive(b) }()
		send(t, s, dead, nil)
		select {
		case err := <-reports:
			if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("told %v, want %v", err, syscall.ECONNREFUSED)
			}
		case <-time.After(patience):
			t.Fatal("nobody told of the refusal")
		}
		for end := time.Now().Add(20 * time.Millisecond); c.refusals.Load() == 0 && time.Now().Before(end); {
			runtime.Gosched()
		}
		send(t, from, self, packet("in", i))
		if err := <-result; err != nil || number(b.Packets[0].Payload) != i {
			t.Fatalf("datagram %d: %v, %v", i, b.Packets, err)
		}
		s.Release(b)
	}
	if c.refusals.Load() == 0 {
		t.Log("the poller never refused; TestReceiveWithoutPoller makes it")
	}
	if writable(t, s) {
		t.Error("the send buffer was not full")
	}
}
