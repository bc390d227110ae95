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

// TestOriginOfFileIsNotMissed: a source that is known only from a file was never heard (fault 25).
func TestOriginOfFileIsNotMissed(t *testing.T) {
	r := newRig(t, 1, nil)
	alive, dead := "192.0.2.1:5555", "192.0.2.2:5555"
	for _, at := range []string{alive, dead} {
		r.OriginNumber(packets.Sender{Endpoint: packets.EndpointOf(netip.MustParseAddrPort(at))})
	}
	r.start(t)
	proxy := bin1test.NewProxy(5, bin1test.Realistic(testNow, 1))
	d := from(alive, 0, proxy.AppendPacket(nil, 0, bin1test.Create))
	d.Received += int64(77 * time.Second)
	r.sources[0].Feed(d)
	got := map[string]SourceStatus{}
	for _, src := range r.finish(t).Sources {
		got[src.Sender.String()] = src
	}
	if s := got[alive]; s.Last.UnixNano() != d.Received || s.Applied != 1 || s.Created != 1 {
		t.Errorf("the one that sends: %+v", s)
	}
	if s, ok := got[dead]; !ok || !s.Last.IsZero() {
		t.Errorf("the one that sends nothing: %+v", s)
	}
}

// TestForget: a forgotten source is out of the list until it sends again, and the sums stay (fault 25).
func TestForget(t *testing.T) {
	r := newRig(t, 1, nil)
	r.start(t)
	proxy := bin1test.NewProxy(5, bin1test.Realistic(testNow, 9))
	const stray, steady = "192.0.2.1:5555", "192.0.2.2:5555"
	feed := func(at string, call uint64) {
		before := total(r.Sources()).Events
		r.sources[0].Feed(from(at, 0, proxy.AppendPacket(nil, call, bin1test.Create)))
		await(t, "the event", func() bool { return total(r.Sources()).Events == before+1 })
	}
	names := func() (list []string) {
		for _, s := range r.Sources() {
			list = append(list, fmt.Sprintf("%s %d", s.Sender, s.Events))
		}
		return list
	}
	feed(stray, 0)
	feed(steady, 1)
	is := func(s packets.Sender) bool { return s.String() == stray }
	if n := r.Forget(is); n != 1 {
		t.Errorf("forgot %d", n)
	}
	if n := r.Forget(is); n != 0 {
		t.Errorf("forgot %d that were forgotten", n)
	}
	other := packets.Sender{}.String()
	if got, want := fmt.Sprint(names()), fmt.Sprintf("[%s 1 %s 1]", other, steady); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	feed(stray, 2)
	if got, want := fmt.Sprint(names()), fmt.Sprintf("[%s 1 %s 1 %s 1]", other, stray, steady); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if sum := total(r.finish(t).Sources); sum.Events != 3 || sum.Applied != 3 {
		t.Errorf("sum: %+v", sum)
	}
}

func total(list []SourceStatus) (sum SourceStatus) {
	for _, s := range list {
		sum.Events += s.Events
		sum.Applied += s.Applied
		sum.Rejected += s.Rejected
	}
	return sum
}
