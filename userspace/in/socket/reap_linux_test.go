//go:build !portable

package socket

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"binrepd/userspace/in/packets"
)

// deadEndpoint is one where nobody listens, until the end of the test: a socket that is connected elsewhere has its port, and takes nothing.
func deadEndpoint(t *testing.T, local netip.AddrPort) packets.Endpoint {
	t.Helper()
	c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(local), net.UDPAddrFromAddrPort(netip.AddrPortFrom(local.Addr(), 9)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return packets.EndpointOf(c.LocalAddr().(*net.UDPAddr).AddrPort())
}

type report struct {
	to  packets.Endpoint
	err error
}

func TestRefusalReachesReceive(t *testing.T) {
	families(t, func(t *testing.T, local netip.AddrPort) {
		dead := deadEndpoint(t, local)
		reports := make(chan report, 10)
		s := listen(t, local, Config{})
		s.Watch(func(to packets.Endpoint, err error) { reports <- report{to, err} })
		result := make(chan error, 1)
		go func() { result <- s.Receive(packets.NewBatch(4)) }()
		send(t, s, dead, []byte("is anybody there?"))
		select {
		case r := <-reports:
			if r.to != dead || !errors.Is(r.err, syscall.ECONNREFUSED) {
				t.Errorf("told %v of %s, want %v of %s", r.err, r.to, syscall.ECONNREFUSED, dead)
			}
		case err := <-result:
			t.Fatal("the refusal ended Receive: ", err)
		case <-time.After(patience):
			t.Fatal("nobody told of the refusal")
		}
		send(t, s, endpoint(s), []byte("x")) // Receive is still there
		if err := <-result; err != nil {
			t.Error("Receive: ", err)
		}
		if st := s.Stats(); st.Reported.Refused != 1 || st.SendErrors != (ErrorCounts{}) || st.Received != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestASenderPollsForErrors(t *testing.T) {
	families(t, func(t *testing.T, local netip.AddrPort) {
		dead := deadEndpoint(t, local)
		var got []report
		s := newSender(t, local, Config{})
		s.Watch(func(to packets.Endpoint, err error) { got = append(got, report{to, err}) })
		send(t, s, dead, []byte("one"))
		for end := time.Now().Add(patience); s.Poll() == 0 && time.Now().Before(end); {
		}
		if len(got) != 1 || got[0].to != dead || !errors.Is(got[0].err, packets.ErrRefused) {
			t.Errorf("told of %v, want one refusal by %s", got, dead)
		}
		if n := s.Poll(); n != 0 {
			t.Errorf("%d errors more", n)
		}
	})
}

// TestDeadDestinationCostsOthersNothing sends to a dead and a live destination by turns, through a socket that
// receives at the same time.
func TestDeadDestinationCostsOthersNothing(t *testing.T) {
	const n = 300
	dead := deadEndpoint(t, loopback4)
	var refused atomic.Int64
	s := listen(t, loopback4, Config{})
	s.Watch(func(to packets.Endpoint, _ error) {
		if to == dead {
			refused.Add(1)
		}
	})
	live := listen(t, loopback4, Config{})
	from := newSender(t, loopback4, Config{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range n {
			send(t, from, endpoint(s), packet("in", i))
		}
	})
	wg.Go(func() {
		var m []packets.Message
		for i := range n {
			p := packet("out", i)
			m = append(m, packets.Message{Payload: p, To: dead}, packets.Message{Payload: p, To: endpoint(live)})
		}
		if sent, err := s.Send(m); sent != 2*n || err != nil {
			t.Errorf("sent %d of %d: %v", sent, 2*n, err)
		}
	})
	for i, d := range collect(t, s, n, 16) {
		if number(d.Payload) != i {
			t.Fatalf("received datagram %d at place %d", number(d.Payload), i)
		}
	}
	for i, d := range collect(t, live, n, 16) {
		if number(d.Payload) != i {
			t.Fatalf("the live destination got datagram %d at place %d", number(d.Payload), i)
		}
	}
	wg.Wait()
	for end := time.Now().Add(patience); refused.Load() < n && time.Now().Before(end); {
		s.Poll()
	}
	st := s.Stats()
	if refused.Load() != n || st.Reported.Refused != n || st.SendErrors != (ErrorCounts{}) {
		t.Errorf("told of %d refusals of %d; stats %+v", refused.Load(), n, st)
	}
	if st.Dropped != 0 || st.Waiting != 0 {
		t.Errorf("dropped %d, %d bytes left in the buffer", st.Dropped, st.Waiting)
	}
}

// stubbornConn is a RawConn whose Read refuses to wait, as Go's poller does after an event that was an error and
// nothing else.
type stubbornConn struct {
	syscall.RawConn
	refusals atomic.Int64
}

func (c *stubbornConn) Read(f func(uintptr) bool) error {
	if c.refusals.Add(-1) >= 0 {
		return errors.New("not pollable")
	}
	return c.RawConn.Read(f)
}

func TestReceiveWithoutPoller(t *testing.T) {
	s := listen(t, loopback4, Config{})
	c := &stubbornConn{RawConn: s.raw}
	c.refusals.Store(3)
	s.raw = c
	from := newSender(t, loopback4, Config{})
	for i := range 5 {
		send(t, from, endpoint(s), packet("c", i))
		if d := collect(t, s, 1, 4)[0]; number(d.Payload) != i {
			t.Fatalf("got datagram %d, want %d", number(d.Payload), i)
		}
	}
	if c.refusals.Load() >= 0 {
		t.Fatal("the poller was never refused")
	}
	c.refusals.Store(1 << 40)
	time.AfterFunc(time.Millisecond, s.Stop)
	if err := s.Receive(packets.NewBatch(1)); err == nil {
		t.Error("Receive returned nothing, and no error")
	}
}
