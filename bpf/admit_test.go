package bpf_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
)

// allow sets the list in the program and in the model.
func (r *trial) allow(t testing.TB, list ...string) {
	t.Helper()
	r.allowed = nil
	for _, p := range list {
		r.allowed = append(r.allowed, netip.MustParsePrefix(p))
	}
	if err := r.program.Allow(r.allowed); err != nil {
		t.Fatal(err)
	}
}

func callFrom(from, to string) []byte {
	f := bpftest.Frame{From: netip.MustParseAddrPort(from), To: netip.MustParseAddrPort(to), Payload: binPacket("call", 100)}
	return f.Bytes()
}

// TestAllowFrames runs all hand-made frames while the list of the running program changes.
func TestAllowFrames(t *testing.T) {
	r := newTrial(t)
	for _, list := range [][]string{
		{},
		{"10.99.0.1/32"},
		{"10.99.0.0/24", "fd00::/64"},
		{"::/0"},
		{"0.0.0.0/0"},
		{"127.0.0.0/8", "::1/128", "10.0.0.0/8"},
		{"192.0.2.0/24"},
		{},
	} {
		r.allow(t, list...)
		for _, c := range handMade() {
			r.compare(t, c.frame)
		}
	}
}

// TestAllowPrefixes checks the edges of prefixes, and which sources are counted as denied.
func TestAllowPrefixes(t *testing.T) {
	r := newTrial(t)
	r.allow(t, "10.99.0.4/30", "fd00::8/125")
	to4, to6 := "10.99.0.2:5556", "[fd00::2]:5556"
	for _, c := range []struct {
		from, to string
		verdict  bpf.Verdict
	}{
		{"10.99.0.3:1", to4, bpf.Denied},
		{"10.99.0.4:1", to4, bpf.Steered},
		{"10.99.0.7:1", to4, bpf.Steered},
		{"10.99.0.8:1", to4, bpf.Denied},
		{"10.99.0.8:2", to4, bpf.Denied},
		{"[fd00::7]:1", to6, bpf.Denied},
		{"[fd00::8]:1", to6, bpf.Steered},
		{"[fd00::f]:1", to6, bpf.Steered},
		{"[fd00::10]:1", to6, bpf.Denied},
		{"10.99.0.8:1", "10.99.0.2:53", bpf.Other}, // to no listener, so the list doesn't apply
	} {
		if got := r.compare(t, callFrom(c.from, c.to)); got.verdict != c.verdict {
			t.Errorf("%s to %s: %s, want %s", c.from, c.to, got.verdict, c.verdict)
		}
	}
	r.compare(t, bpftest.Frame{From: netip.MustParseAddrPort("10.99.0.8:1"), To: netip.MustParseAddrPort(to4), Payload: []byte("not BIN, but long enough for it")}.Bytes())
	denied, err := r.program.Denied()
	if err != nil || len(denied) != 4 || denied[0] != (bpf.SourceCount{Source: netip.MustParseAddr("10.99.0.8"), Datagrams: 2}) {
		t.Errorf("denied: %v, %v", denied, err)
	}
	if limited, err := r.program.Limited(); err != nil || limited != nil {
		t.Errorf("limited: %v, %v", limited, err)
	}
}

// TestAllowFull replaces a full list by a disjoint one.
func TestAllowFull(t *testing.T) {
	r := newTrial(t)
	full := func(a byte, n int) (list []netip.Prefix) {
		for i := range n {
			list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, a, byte(i >> 8), byte(i)}), 32))
		}
		return list
	}
	for _, a := range []byte{1, 99} {
		r.allowed = full(a, bpf.MaxAllowed)
		if err := r.program.Allow(r.allowed); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []string{"10.1.0.1:1", "10.99.0.1:1", "10.99.3.255:1", "10.99.4.0:1"} {
		r.compare(t, callFrom(from, "10.99.0.2:5556"))
	}
	if err := r.program.Allow(full(1, bpf.MaxAllowed+1)); err == nil {
		t.Error("one prefix too many was taken")
	}
}

// TestDeniedBounded sends from more sources than the map counts separately. The total counts all of them.
func TestDeniedBounded(t *testing.T) {
	r := newTrial(t)
	r.allow(t, "192.0.2.0/24")
	const sources = 5000
	for i := range sources {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 98, byte(i >> 8), byte(i)}), 1)
		if _, err := r.program.XDP().Run(&ebpf.RunOptions{Data: callFrom(from.String(), "10.99.0.2:5556")}); err != nil {
			t.Fatal(err)
		}
	}
	denied, err := r.program.Denied()
	if err != nil || len(denied) == 0 || len(denied) > 1024 {
		t.Errorf("%d sources denied, %v", len(denied), err)
	}
	c, err := r.program.Counters()
	if err != nil || c.Listeners[0][bpf.Denied] != sources {
		t.Errorf("counters: %v, %v", c, err)
	}
}

// TestRate floods from one source while another source keeps within its rate.
func TestRate(t *testing.T) {
	const burst = 200
	p := load(t, bpf.Config{Rings: 1, RingSize: 16 << 20, Listeners: testListeners, Rate: 1, Burst: burst})
	flood, quiet := callFrom("10.99.0.1:1", "10.99.0.2:5556"), callFrom("10.99.0.3:1", "10.99.0.2:5556")
	began := time.Now()
	run := func(frame []byte, n uint32) {
		if _, err := p.XDP().Run(&ebpf.RunOptions{Data: frame, Repeat: n}); err != nil {
			t.Fatal(err)
		}
	}
	const flooded = 20_000
	for range 10 {
		run(flood, flooded/10)
		run(quiet, burst/10)
	}
	c, err := p.Counters()
	if err != nil {
		t.Fatal(err)
	}
	got := c.Listeners[0]
	most := uint64(burst + 1 + time.Since(began)/time.Second) // the tokens that came back in the meantime
	if took := got[bpf.Steered] - burst; took < burst || took > most {
		t.Errorf("%d of the flood were taken, want %d to %d", took, burst, most)
	}
	if got[bpf.Steered]+got[bpf.RateLimited] != flooded+burst {
		t.Errorf("verdicts: %v", got)
	}
	limited, err := p.Limited()
	if err != nil || len(limited) != 1 || limited[0].Source != netip.MustParseAddr("10.99.0.1") || limited[0].Datagrams != got[bpf.RateLimited] {
		t.Errorf("limited: %v, %v; verdicts %v", limited, err, got)
	}
}

// TestRateRefills waits until a limited source is admitted again.
func TestRateRefills(t *testing.T) {
	p := load(t, bpf.Config{Rings: 1, Listeners: testListeners, Rate: 100, Burst: 1})
	frame := callFrom("10.99.0.1:1", "10.99.0.2:5556")
	steered := func() uint64 {
		if _, err := p.XDP().Run(&ebpf.RunOptions{Data: frame}); err != nil {
			t.Fatal(err)
		}
		c, err := p.Counters()
		if err != nil {
			t.Fatal(err)
		}
		return c.Listeners[0][bpf.Steered]
	}
	began := time.Now()
	for steered() < 4 {
		if time.Since(began) > time.Minute {
			t.Fatal("the bucket never refills")
		}
	}
	// The first one is free; three more take 10 ms each.
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("four datagrams at 100 a second within %v", took)
	}
}

func TestRateConfig(t *testing.T) {
	for _, c := range []bpf.Config{{Rate: -1, Burst: 1}, {Rate: 1}, {Rate: bpf.MaxRate + 1, Burst: 1}} {
		if p, err := bpf.Load(c); err == nil {
			p.Close()
			t.Errorf("%+v was taken", c)
		}
	}
}
