package gate

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"binrepd/userspace/in/packets"
)

func end(s string) packets.Endpoint {
	return packets.EndpointOf(netip.AddrPortFrom(netip.MustParseAddr(s), 5555))
}

func prefixList(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestParsePrefix(t *testing.T) {
	for _, c := range []struct{ text, want, problem string }{
		{"10.0.0.0/24", "10.0.0.0/24", ""},
		{"10.0.0.1", "10.0.0.1/32", ""},
		{"::ffff:10.0.0.1", "10.0.0.1/32", ""},
		{"::ffff:10.0.0.0/120", "10.0.0.0/24", ""},
		{"0.0.0.0/0", "0.0.0.0/0", ""},
		{"::/0", "::/0", ""},
		{"2001:db8::1", "2001:db8::1/128", ""},
		{"10.0.0.1/24", "", "write 10.0.0.0/24 for the network or 10.0.0.1 for the host"},
		{"::ffff:0.0.0.0/90", "", "covers more than IPv4"},
		{"fe80::1%eth0", "", "zone"},
		{"10.0.0.0/33", "", "not a prefix"},
		{"proxy.example.net", "", "not a prefix"},
		{"", "", "not a prefix"},
	} {
		p, err := ParsePrefix(c.text)
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%q: %v, want %q", c.text, err, c.problem)
		}
		if err == nil && p.String() != c.want {
			t.Errorf("%q: %s, want %s", c.text, p, c.want)
		}
	}
}

func TestAllow(t *testing.T) {
	g := New(Config{})
	for _, c := range []struct {
		list     []netip.Prefix
		yes, not []string
	}{
		{nil, []string{"10.0.0.1", "::1", "2001:db8::1"}, nil},
		{prefixList("10.0.0.0/30", "192.0.2.7/32"), []string{"10.0.0.0", "10.0.0.3", "192.0.2.7"}, []string{"10.0.0.4", "192.0.2.6", "::a00:1", "2001:db8::1"}},
		{prefixList("::/0"), []string{"::1", "2001:db8::1"}, []string{"10.0.0.1"}},
		{prefixList("0.0.0.0/0"), []string{"10.0.0.1", "::ffff:10.0.0.1"}, []string{"::1"}},
		{[]netip.Prefix{}, []string{"10.0.0.1", "::1"}, nil},
	} {
		g.Allow(c.list)
		for _, s := range c.yes {
			if got := g.Admit(end(s)); got != packets.Admitted {
				t.Errorf("%v: %s got %d", c.list, s, got)
			}
		}
		for _, s := range c.not {
			if got := g.Admit(end(s)); got != packets.Denied {
				t.Errorf("%v: %s got %d", c.list, s, got)
			}
		}
	}
	g.Allow(prefixList("192.0.2.0/24", "10.0.0.0/8", "192.0.2.0/24"))
	if got := g.Allowed(); !slices.Equal(got, prefixList("10.0.0.0/8", "192.0.2.0/24")) {
		t.Errorf("the list is %v", got)
	}
}

// TestAllowModel compares the look-up with a check of every prefix.
func TestAllowModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few bits differ, so that prefixes and addresses often match.
		addr := rapid.Custom(func(t *rapid.T) netip.Addr {
			low := rapid.Byte().Draw(t, "low")
			if rapid.Bool().Draw(t, "IPv4") {
				return netip.AddrFrom4([4]byte{10, 0, 0, low})
			}
			return netip.AddrFrom16([16]byte{0: 0xfd, 15: low})
		})
		var list []netip.Prefix
		for range rapid.IntRange(1, 8).Draw(t, "prefixes") {
			a := addr.Draw(t, "prefix")
			list = append(list, netip.PrefixFrom(a, a.BitLen()-rapid.IntRange(0, 9).Draw(t, "host bits")).Masked())
		}
		g := New(Config{})
		g.Allow(list)
		for range 20 {
			a := addr.Draw(t, "address")
			want := slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
			if got := g.Admit(end(a.String())) == packets.Admitted; got != want {
				t.Fatalf("%v: %s admitted %v", list, a, got)
			}
		}
	})
}

// TestDeniedBounded: a crowd of forged sources doesn't displace the source that is refused most.
func TestDeniedBounded(t *testing.T) {
	g := New(Config{})
	g.Allow(prefixList("192.0.2.0/24"))
	const crowd = 20 * maxRefused
	for i := range crowd {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 0x0b000000+uint32(i))
		g.Admit(end(netip.AddrFrom4(a).String()))
		g.Admit(end("10.0.0.1"))
	}
	list := g.Denied()
	if len(list) != maxRefused || list[0] != (Count{netip.MustParseAddr("10.0.0.1"), crowd}) {
		t.Errorf("%d sources, first %v", len(list), list[0])
	}
}

// TestRate: a flooding source gets its burst and its rate. A quiet one loses nothing.
func TestRate(t *testing.T) {
	var clock time.Duration
	const rate, burst, seconds = 2000, 200, 10
	g := New(Config{Rate: rate, Burst: burst, Now: func() time.Duration { return clock }})
	flood, quiet := end("10.0.0.1"), end("10.0.0.2")
	took := 0
	for ms := range seconds * 1000 {
		clock = time.Duration(ms) * time.Millisecond
		for range 50 { // 50,000 a second
			if g.Admit(flood) == packets.Admitted {
				took++
			}
		}
		if got := g.Admit(quiet); got != packets.Admitted { // 1,000 a second
			t.Fatalf("the quiet source lost one at %v: %d", clock, got)
		}
	}
	if want := burst + rate*seconds; took < want-5 || took > want+5 {
		t.Errorf("the flood got %d through, want %d", took, want)
	}
	if l := g.Limited(); len(l) != 1 || l[0] != (Count{netip.MustParseAddr("10.0.0.1"), uint64(50_000*seconds - took)}) {
		t.Errorf("limited: %v", l)
	}
	clock += time.Hour // a bucket never holds more than the burst
	for range burst {
		if g.Admit(flood) != packets.Admitted {
			t.Fatal("the bucket was not full again")
		}
	}
	if g.Admit(flood) != packets.RateLimited {
		t.Error("more than the burst")
	}
}

// TestBucketsBounded: a crowd of sources uses no more than the maximum number of buckets, and none is refused because
// of that.
func TestBucketsBounded(t *testing.T) {
	g := New(Config{Rate: 1, Burst: 1, Now: func() time.Duration { return 0 }})
	for i := range 2 * maxBuckets {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 0x0b000000+uint32(i))
		if g.Admit(end(netip.AddrFrom4(a).String())) != packets.Admitted {
			t.Fatal("a new source was refused")
		}
	}
	if n := len(g.limits.ahead); n != maxBuckets {
		t.Errorf("%d buckets", n)
	}
}

// TestConcurrent changes the list while other goroutines ask, under the race detector.
func TestConcurrent(t *testing.T) {
	g := New(Config{Rate: 1000, Burst: 100})
	both := [][]netip.Prefix{prefixList("10.0.0.0/24", "10.0.1.0/24"), prefixList("10.0.0.0/24", "2001:db8::/32")}
	g.Allow(both[0])
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 2000 {
				if g.Admit(end("10.0.0.1")) == packets.Denied || g.Admit(end("10.0.2.1")) == packets.Admitted {
					t.Error("wrong in both lists")
				}
			}
		})
	}
	for i := range 500 {
		g.Allow(both[i%2])
		g.Denied()
		g.Limited()
	}
	wg.Wait()
}

func TestAdmitAllocates(t *testing.T) {
	g := New(Config{Rate: 1 << 30, Burst: 1 << 20})
	g.Allow(prefixList("10.0.0.0/8", "2001:db8::/32"))
	good, bad := end("10.0.0.1"), end("11.0.0.1")
	if n := testing.AllocsPerRun(100, func() { g.Admit(good); g.Admit(bad) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	source := end("10.0.0.1")
	for _, c := range []struct {
		name string
		rate int
		list []netip.Prefix
	}{
		{"open", 0, nil},
		{"list", 0, prefixList("10.0.0.0/24", "192.0.2.0/24", "2001:db8::/32")},
		{"list_rate", 1_000_000_000, prefixList("10.0.0.0/24")},
	} {
		b.Run(c.name, func(b *testing.B) {
			g := New(Config{Rate: c.rate, Burst: 1 << 30})
			g.Allow(c.list)
			for b.Loop() {
				g.Admit(source)
			}
		})
	}
}
