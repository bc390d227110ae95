package packets

import (
	"net/netip"
	"reflect"
	"testing"
)

func TestEndpoint(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1:5556":          "192.0.2.1:5556",
		"0.0.0.0:1":               "0.0.0.0:1",
		"[::ffff:192.0.2.1]:5556": "192.0.2.1:5556",
		"[2001:db8::1]:65535":     "[2001:db8::1]:65535",
		"[fe80::1%eth0]:7":        "[fe80::1]:7",
		"[::1]:0":                 "[::1]:0",
	} {
		e := EndpointOf(netip.MustParseAddrPort(in))
		if got := e.AddrPort(); got != netip.MustParseAddrPort(want) || e.String() != want {
			t.Errorf("%s becomes %v, %s, want %s", in, got, e, want)
		}
		if EndpointOf(e.AddrPort()) != e {
			t.Errorf("%s is not the same after a second time", in)
		}
	}
	if e := EndpointOf(netip.AddrPort{}); e != (Endpoint{}) {
		t.Errorf("no address becomes %v", e)
	}
	four, mapped := EndpointOf(netip.MustParseAddrPort("192.0.2.1:1")), EndpointOf(netip.MustParseAddrPort("[::ffff:192.0.2.1]:1"))
	if four != mapped {
		t.Error("one IPv4 address has two endpoints")
	}
}

func TestSendersHaveNames(t *testing.T) {
	at := Sender{Endpoint: EndpointOf(netip.MustParseAddrPort("192.0.2.1:5556"))}
	for want, s := range map[string]Sender{
		"192.0.2.1:5556": at, "node 3 of cluster 1": {Cluster: 1, Node: 3},
		"node 3 of cluster 1 by 192.0.2.1:5556": {Endpoint: at.Endpoint, Cluster: 1, Node: 3},
	} {
		if s.String() != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
}

func TestIntakesHaveNames(t *testing.T) {
	list := append(Listeners([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:5556")}),
		Intake{Kind: Stream, Name: "192.0.2.1:5566"}, Intake{Kind: Cluster, Name: "1"}, Intake{Kind: Log, Name: "site"}, Intake{Kind: 9})
	for i, want := range []string{"listener 192.0.2.1:5556", "stream 192.0.2.1:5566", "cluster 1", "log site", "invalid "} {
		if list[i].String() != want {
			t.Errorf("%q, want %q", list[i], want)
		}
	}
	if list[0].Address.Port() != 5556 {
		t.Errorf("the listener's address is %s", list[0].Address)
	}
}

// TestAPacketFillsOneCacheLine: a batch of 512 packets is then 32 KiB.
func TestAPacketFillsOneCacheLine(t *testing.T) {
	if n := reflect.TypeFor[Packet]().Size(); n != 64 {
		t.Errorf("a packet has %d bytes", n)
	}
}

func TestNewBatch(t *testing.T) {
	if b := NewBatch(64); len(b.Packets) != 0 || cap(b.Packets) != 64 {
		t.Errorf("%d of %d", len(b.Packets), cap(b.Packets))
	}
}

func BenchmarkHash(b *testing.B) {
	payload := packet("dialog", str("8a7b6c5d4e3f2a1b@proxy.example.net"), str("from"), str("to"))
	s := Steering{countingK0, countingK1}
	for b.Loop() {
		s.Hash(payload, Endpoint{})
	}
}
