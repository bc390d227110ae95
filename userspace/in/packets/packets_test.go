package packets

import (
	"net/netip"
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
