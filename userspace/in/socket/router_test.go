package socket

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"binrepd/userspace/in/packets"
)

func TestFamiliesSendFromTheAddressThatFits(t *testing.T) {
	ctx := t.Context()
	open := func(addr string) *Socket {
		s, err := Listen(ctx, netip.MustParseAddrPort(addr), Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	v4, v6 := open("127.0.0.1:0"), open("[::1]:0")
	f := NewRouter([]*Socket{v4, v6}, nil)
	var messages []packets.Message
	var peers []net.PacketConn
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "127.0.0.1:0"} {
		p, err := net.ListenPacket("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		peers = append(peers, p)
		messages = append(messages, packets.Message{
			Payload: []byte(addr), To: packets.EndpointOf(p.LocalAddr().(*net.UDPAddr).AddrPort()),
		})
	}
	if n, err := f.Send(messages); n != len(messages) || err != nil {
		t.Fatalf("sent %d of %d: %v", n, len(messages), err)
	}
	for i, want := range []*Socket{v4, v6, v4} {
		b := make([]byte, 100)
		n, from, err := peers[i].ReadFrom(b)
		if err != nil || string(b[:n]) != string(messages[i].Payload) {
			t.Errorf("peer %d got %q, error %v", i, b[:n], err)
		}
		if got := from.(*net.UDPAddr).AddrPort(); got != want.LocalAddr() {
			t.Errorf("peer %d: from %s, want %s", i, got, want.LocalAddr())
		}
	}
	only4 := NewRouter([]*Socket{v4}, nil)
	if n, err := only4.Send(messages); n != 1 || !errors.Is(err, ErrFamily) {
		t.Errorf("IPv6 without an IPv6 socket: sent %d, error %v", n, err)
	}
}

func TestFamiliesFind(t *testing.T) {
	for _, test := range []struct {
		have    []string // addresses of sockets that listen
		senders []string // and of such as only send
		source  string   // by the route
		to      string
		want    int
	}{
		{[]string{"127.0.0.1", "10.0.0.2", "10.1.0.2"}, nil, "10.1.0.2", "10.1.0.3:1", 2},
		{[]string{"10.0.0.2", "0.0.0.0"}, nil, "10.1.0.2", "10.1.0.3:1", 1},
		{[]string{"0.0.0.0", "10.0.0.2"}, nil, "10.0.0.2", "10.0.0.3:1", 1},
		{[]string{"10.0.0.2"}, nil, "127.0.0.1", "127.0.0.5:1", 0},
		{[]string{"::", "0.0.0.0"}, nil, "10.0.0.2", "10.0.0.3:1", 1},
		{[]string{"::1", "2001:db8::1"}, nil, "2001:db8::1", "[2001:db8::2]:1", 1},
		// The listen address is a second one of the host, which the route doesn't prefer.
		{[]string{"10.0.0.9"}, []string{"0.0.0.0", "::"}, "10.0.0.2", "10.0.0.3:1", 0},
		{[]string{"127.0.0.2"}, []string{"0.0.0.0"}, "127.0.0.1", "127.0.0.3:1", 0},
		{[]string{"127.0.0.1"}, []string{"0.0.0.0"}, "10.0.0.2", "10.0.0.3:1", 1},
		{[]string{"10.0.0.2"}, []string{"0.0.0.0", "::"}, "2001:db8::1", "[2001:db8::2]:1", 2},
		{[]string{"10.0.0.2"}, nil, "2001:db8::1", "[2001:db8::2]:1", -1},
		{nil, nil, "10.0.0.2", "10.0.0.3:1", -1},
	} {
		f := NewRouter(nil, nil)
		f.source = func(netip.AddrPort) netip.Addr { return netip.MustParseAddr(test.source) }
		f.listening = len(test.have)
		for _, a := range append(append([]string{}, test.have...), test.senders...) {
			f.local = append(f.local, netip.MustParseAddr(a))
		}
		if got := f.choose(packets.EndpointOf(netip.MustParseAddrPort(test.to))); got != test.want {
			t.Errorf("%v and %v to %s, route from %s: socket %d, want %d", test.have, test.senders, test.to, test.source, got, test.want)
		}
	}
}

func TestRouteSource(t *testing.T) {
	if got := routeSource(netip.MustParseAddrPort("127.0.0.1:9")); got != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("from %s", got)
	}
}
