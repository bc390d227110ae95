package engine

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"binrepd/userspace/in/packets"
	"binrepd/userspace/wire/bin1/bin1test"
)

func TestOriginsAreBounded(t *testing.T) {
	r := newRig(t, 1, nil)
	r.start(t)
	proxy := bin1test.NewProxy(3, bin1test.Realistic(testNow, 30))
	const senders = MaxOrigins + 500
	for i := range senders {
		ep := fmt.Sprintf("10.%d.%d.1:5555", i>>8, i&255)
		r.sources[0].Feed(from(ep, 0, proxy.AppendPacket(nil, uint64(i), bin1test.Create)), from(ep, 0, []byte("garbage that is no BIN")))
	}
	s := r.finish(t)
	if len(s.Sources) != MaxOrigins {
		t.Errorf("%d sources, want %d", len(s.Sources), MaxOrigins)
	}
	var events, rejected uint64
	for _, src := range s.Sources {
		events += src.Events
		rejected += src.Rejected
	}
	if events != senders || rejected != senders {
		t.Errorf("sources add up to %d events and %d rejected, want %d of each", events, rejected, senders)
	}
	if other := s.Sources[0]; other.Sender != (packets.Sender{}) || other.Events != senders-MaxOrigins+1 {
		t.Errorf("other sources: %+v", other)
	}
}

func TestCapabilityNamesAreBounded(t *testing.T) {
	var c capabilities
	for i := range 100 {
		c.add(fmt.Appendf(nil, "name%d", i))
		c.add([]byte("name0"))
		c.add(bytes.Repeat([]byte("x"), 1000))
	}
	got := map[string]uint64{}
	c.addTo(got)
	if len(got) != maxCapabilities+1 || got["name0"] != 101 || got[OtherCapabilities] != 100+100-maxCapabilities {
		t.Errorf("counts: %v", got)
	}
}

// TestRestoredOriginIsMissed: a source that owned live dialogs in a file counts as heard when they were loaded, until it is heard in truth;
// one that owned other records doesn't.
func TestRestoredOriginIsMissed(t *testing.T) {
	r := newRig(t, 1, nil)
	alive, dead, ended := "192.0.2.1:5555", "192.0.2.2:5555", "192.0.2.3:5555"
	for _, at := range []string{alive, dead} {
		r.OriginNumber(packets.Sender{Endpoint: packets.EndpointOf(netip.MustParseAddrPort(at))}, true)
	}
	r.OriginNumber(packets.Sender{Endpoint: packets.EndpointOf(netip.MustParseAddrPort(ended))}, false)
	r.start(t)
	proxy := bin1test.NewProxy(5, bin1test.Realistic(testNow, 1))
	d := from(alive, 0, proxy.AppendPacket(nil, 0, bin1test.Create))
	d.Received += int64(77 * time.Second)
	r.sources[0].Feed(d)
	got := map[string]SourceStatus{}
	for _, src := range r.finish(t).Sources {
		got[src.Sender.String()] = src
	}
	if last := got[alive].Last.UnixNano(); last != d.Received {
		t.Errorf("the one that sends was heard at %d, want %d", last, d.Received)
	}
	if s := got[dead]; s.Last.IsZero() || s.Events != 0 {
		t.Errorf("the one with live dialogs that sends nothing: %+v", s)
	}
	if s, ok := got[ended]; !ok || !s.Last.IsZero() {
		t.Errorf("the one without live dialogs: %+v", s)
	}
}
