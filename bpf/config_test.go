package bpf

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
)

func TestValidateRingSize(t *testing.T) {
	for _, c := range []struct {
		size int
		want string // part of the error
	}{
		{1 << 16, ""},
		{DefaultRingSize, ""},
		{1 << 30, ""},
		{-1, "the smallest on this machine is 65536"},
		{0, "the smallest on this machine is 65536"},
		{65535, "the smallest on this machine is 65536"},
		{65537, "the nearest are 65536 and 131072"},
		{100_000_000, "the nearest are 67108864 and 134217728"},
		{1<<30 - 1, "the nearest are 536870912 and 1073741824"},
		{1<<30 + 1, "the largest is 1073741824"},
	} {
		err := validateRingSize(c.size, 1<<16)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d: %v, want %q", c.size, err, c.want)
		}
	}
	if err := ValidateRingSize(DefaultRingSize); err != nil {
		t.Error(err)
	}
}

// TestMinRingSize checks that the smallest size has room for a record and a wake-up of each processor, and is itself
// valid.
func TestMinRingSize(t *testing.T) {
	for _, page := range []int{4096, 65536} {
		for cpus := 1; cpus <= 4096; cpus++ {
			size := minRingSize(cpus, page)
			if size&(size-1) != 0 || size%page != 0 || size < cpus*(9280+64) {
				t.Fatalf("%d processors, pages of %d: %d", cpus, page, size)
			}
		}
	}
}

func addrPorts(list ...string) (l []netip.AddrPort) {
	for _, s := range list {
		l = append(l, netip.MustParseAddrPort(s))
	}
	return l
}

func TestConfig(t *testing.T) {
	many := func(n int) (l []netip.AddrPort) {
		for i := range n {
			l = append(l, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(1+i)))
		}
		return l
	}
	for _, c := range []struct {
		config Config
		want   string // part of the error
	}{
		{Config{}, ""},
		{Config{Rings: 16, Listeners: many(16)}, ""},
		{Config{Rings: 17}, "17 rings"},
		{Config{Rings: -1}, "-1 rings"},
		{Config{RingSize: 3 << 20}, "not a power of two"},
		{Config{Listeners: many(17)}, "17 listen addresses"},
		{Config{Listeners: addrPorts("10.0.0.1:0")}, "10.0.0.1:0"},
		{Config{Listeners: make([]netip.AddrPort, 1)}, "must have an address"},
		{Config{Listeners: addrPorts("10.0.0.1:1", "[::ffff:10.0.0.1]:1")}, "given twice"},
		{Config{Listeners: addrPorts("[fe80::1%eth0]:1", "[fe80::1%eth1]:1")}, "given twice"},
	} {
		got, err := c.config.complete()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.config, err, c.want)
		}
		if err == nil && (got.Rings == 0 || got.RingSize == 0) {
			t.Errorf("%+v became %+v", c.config, got)
		}
	}
}

// TestExpand checks that wildcards get the addresses of their family that have no listener of their own.
func TestExpand(t *testing.T) {
	host := []netip.Addr{
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::ffff:10.0.0.2"), netip.MustParseAddr("fd00::1"),
		netip.MustParseAddr("fe80::1%eth0"),
	}
	got := expand(addrPorts("0.0.0.0:1", "10.0.0.2:1", "[::]:1", "10.0.0.9:2"), host)
	want := map[netip.AddrPort]uint8{
		netip.MustParseAddrPort("10.0.0.1:1"):  0,
		netip.MustParseAddrPort("[fd00::1]:1"): 2,
		netip.MustParseAddrPort("[fe80::1]:1"): 2,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMissing(t *testing.T) {
	for _, c := range []struct {
		set  uint64
		want string
	}{
		{0, "[CAP_BPF CAP_NET_ADMIN CAP_PERFMON]"},
		{1 << 21, "[CAP_NET_ADMIN]"},
		{1<<39 | 1<<12 | 1<<38, "[]"},
		{1<<64 - 1, "[]"},
	} {
		if got := fmt.Sprint(missing(c.set)); got != c.want {
			t.Errorf("%#x: %s missing, want %s", c.set, got, c.want)
		}
	}
}
