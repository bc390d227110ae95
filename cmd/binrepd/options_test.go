package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"binrepd/bpf"
)

// parse reads options from a command line of run, without starting anything.
func parse(t *testing.T, args ...string) (o options, err error) {
	t.Helper()
	app := newApp(nil, nil)
	app.Commands = []*cli.Command{{
		Name: "run", Flags: runFlags(),
		Action: func(c *cli.Context) error {
			o, err = parseOptions(c)
			return err
		},
	}}
	prepare(app.Commands, "")
	if runErr := app.RunContext(t.Context(), append([]string{"binrepd", "run"}, args...)); runErr != nil && err == nil {
		err = runErr
	}
	return o, err
}

func TestOptions(t *testing.T) {
	t.Setenv("BINREPD_EARLY_TIMEOUT", "90s")
	t.Setenv("BINREPD_TOMBSTONE", "90s")
	t.Setenv("BINREPD_INTERFACE", "eth1,eth2")
	o, err := parse(t, "--listen", "192.0.2.1:5556", "--listen=[::ffff:192.0.2.2]:5556", "--listen", "[2001:db8::1]:5557",
		"--xdp", "native", "--rings", "4", "--ring-size", "1GiB", "--shards", "10", "--control", "/tmp/c.sock",
		"--tombstone", "32s", "--log-level", "warn", "--log-format", "json")
	if err != nil {
		t.Fatal(err)
	}
	want := options{
		Listen: []netip.AddrPort{
			netip.MustParseAddrPort("192.0.2.1:5556"), netip.MustParseAddrPort("192.0.2.2:5556"),
			netip.MustParseAddrPort("[2001:db8::1]:5557"),
		},
		Interfaces: []string{"eth1", "eth2"},
		XDP:        xdpNative, Rings: 4, RingSize: 1 << 30, Shards: 12, ShardsAsked: 10, Control: "/tmp/c.sock",
		ExpiryGrace: 60 * time.Second, Tombstone: 32 * time.Second, EarlyTimeout: 90 * time.Second,
		LogLevel: slog.LevelWarn, LogFormat: logJSON,
	}
	if !slices.Equal(o.Listen, want.Listen) || !slices.Equal(o.Interfaces, want.Interfaces) {
		t.Errorf("%+v, want %+v", o, want)
	}
	o.Listen, o.Interfaces, want.Listen, want.Interfaces = nil, nil, nil, nil
	if !equalValues(o, want) {
		t.Errorf("%+v, want %+v", o, want)
	}
}

// equalValues compares all but the slices.
func equalValues(a, b options) bool {
	return a.XDP == b.XDP && a.Rings == b.Rings && a.RingSize == b.RingSize && a.Shards == b.Shards &&
		a.ShardsAsked == b.ShardsAsked && a.Control == b.Control && a.ExpiryGrace == b.ExpiryGrace &&
		a.Tombstone == b.Tombstone && a.EarlyTimeout == b.EarlyTimeout && a.LogLevel == b.LogLevel && a.LogFormat == b.LogFormat
}

func TestDefaults(t *testing.T) {
	o, err := parse(t, "--listen", "127.0.0.1:5556")
	if err != nil {
		t.Fatal(err)
	}
	want := options{
		XDP: xdpAuto, Rings: bpf.DefaultRings(), RingSize: 64 << 20, Shards: 16 * bpf.DefaultRings(), Control: "/run/binrepd/control.sock",
		ExpiryGrace: 60 * time.Second, Tombstone: 64 * time.Second, EarlyTimeout: 180 * time.Second, LogFormat: logText,
	}
	if !equalValues(o, want) {
		t.Errorf("%+v, want %+v", o, want)
	}
}

func TestRefusedOptions(t *testing.T) {
	many := make([]string, 17)
	for i := range many {
		many[i] = "--listen=192.0.2.1:" + strconv.Itoa(5000+i)
	}
	for _, test := range []struct{ args, want string }{
		{"--listen=", "not ADDRESS:PORT"},
		{"--listen=192.0.2.1", "not ADDRESS:PORT"},
		{"--listen=proxy.example:5556", "not ADDRESS:PORT"},
		{"--listen=:5556", "not ADDRESS:PORT"},
		{"--listen=192.0.2.1:70000", "not ADDRESS:PORT"},
		{"--listen=192.0.2.1:0", "port 0"},
		{"--listen=192.0.2.1:5556 --allow=10.0.0.1/24", "write 10.0.0.0/24"},
		{"--listen=192.0.2.1:5556 --allow=proxy", "not a prefix"},
		{"--listen=192.0.2.1:5556 --source-rate=0", "--source-rate 0: choose 1 to"},
		{"--listen=192.0.2.1:5556 --source-rate=10000001", "choose 1 to 10000000"},
		{"--listen=224.0.0.1:5556", "not an address of one host"},
		{"--listen=255.255.255.255:5556", "not an address of one host"},
		{"--listen=[ff02::1]:5556", "not an address of one host"},
		{"--listen=[fe80::1%eth0]:5556", "link-local"},
		{"--listen=192.0.2.1:5556 --listen=192.0.2.1:5556", "given twice"},
		{"--listen=192.0.2.1:5556 --listen=[::ffff:192.0.2.1]:5556", "given twice"},
		{"--listen=192.0.2.1:5556 --listen=0.0.0.0:5556", "--listen 192.0.2.1:5556: already covered by --listen 0.0.0.0:5556"},
		{"--listen=[::]:5556 --listen=[2001:db8::1]:5556", "--listen [2001:db8::1]:5556: already covered by --listen [::]:5556"},
		{strings.Join(many, " "), "17 addresses are too many; at most 16"},
		{"--listen=192.0.2.1:5556 --interface=eth0 --interface=eth0", "--interface eth0: given twice"},
		{"--listen=192.0.2.1:5556 --interface=", "name is empty"},
		{"--listen=192.0.2.1:5556 --xdp=fast", "--xdp fast: choose auto, native, generic or off"},
		{"--listen=192.0.2.1:5556 --rings=17", "--rings 17: choose 1 to 16"},
		{"--listen=192.0.2.1:5556 --rings=-1", "--rings -1: choose 1 to 16"},
		{"--listen=192.0.2.1:5556 --ring-size=0", "--ring-size"},
		{"--listen=192.0.2.1:5556 --ring-size=-64MiB", "--ring-size -64MiB: not a size"},
		{"--listen=192.0.2.1:5556 --ring-size=48MiB", "33554432 and 67108864"},
		{"--listen=192.0.2.1:5556 --ring-size=64GiB", "--ring-size"},
		{"--listen=192.0.2.1:5556 --shards=-5", "--shards -5"},
		{"--listen=192.0.2.1:5556 --shards=70000", "--shards 70000: choose 1 to 4096"},
		{"--listen=192.0.2.1:5556 --control=", "--control: the path is empty"},
		{"--listen=192.0.2.1:5556 --control=/" + strings.Repeat("x", 107), "108 bytes are too long for a Unix socket"},
		{"--listen=192.0.2.1:5556 --tombstone=0s", "--tombstone 0s: choose whole seconds from 1s to 24h"},
		{"--listen=192.0.2.1:5556 --expiry-grace=1500ms", "--expiry-grace 1.5s: choose whole seconds"},
		{"--listen=192.0.2.1:5556 --early-timeout=25h", "--early-timeout 25h0m0s: choose whole seconds"},
		{"--listen=192.0.2.1:5556 --log-format=xml", "--log-format xml: choose text or json"},
		{
			fmt.Sprintf("--listen=192.0.2.1:5556 --record=d --ring-size=%d", bpf.LeastRingSize()),
			fmt.Sprintf("with --record at least %s,", humanize.IBytes(uint64(2*bpf.LeastRingSize()))),
		},
	} {
		_, err := parse(t, strings.Fields(test.args)...)
		if err == nil {
			t.Errorf("%s: accepted", test.args)
		} else if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q, want one line with %q", test.args, err, test.want)
		}
	}
}

func TestAcceptedOptions(t *testing.T) {
	for _, args := range []string{
		"--listen=0.0.0.0:5556 --listen=[::]:5556",
		"--listen=0.0.0.0:5556 --listen=192.0.2.1:5557",
		"--listen=192.0.2.1:5556,192.0.2.2:5556",
		"--listen=192.0.2.1:5556 --ring-size=1048576 --xdp=off",
		"--listen=192.0.2.1:5556 --control=/" + strings.Repeat("x", 106),
	} {
		if _, err := parse(t, strings.Fields(args)...); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// a host with two network cards, one of them down, and the loopback.
func testHost() host {
	prefixes := func(s ...string) (p []netip.Prefix) {
		for _, s := range s {
			p = append(p, netip.MustParsePrefix(s))
		}
		return p
	}
	return host{
		Memory: 4 << 30,
		Links: []hostLink{
			{Name: "lo", Up: true, Loopback: true, Prefixes: prefixes("127.0.0.1/8", "::1/128")},
			{Name: "eth0", Up: true, Prefixes: prefixes("192.0.2.1/24", "2001:db8::1/64")},
			{Name: "eth1", Prefixes: prefixes("198.51.100.1/24")},
		},
	}
}

func TestResolve(t *testing.T) {
	for _, test := range []struct {
		name, args string
		change     func(*host)
		interfaces string // expected, with spaces between
		err        string // expected, in place of interfaces
	}{
		{name: "owner", args: "--listen=192.0.2.1:5556", interfaces: "eth0"},
		{name: "owner of IPv6", args: "--listen=[2001:db8::1]:5556", interfaces: "eth0"},
		{name: "owner that is down", args: "--listen=198.51.100.1:5556", interfaces: "eth1"},
		{name: "loopback prefix", args: "--listen=127.0.0.53:5556", interfaces: "lo"},
		{name: "several, each once", args: "--listen=198.51.100.1:5556 --listen=192.0.2.1:5556 --listen=192.0.2.1:5557", interfaces: "eth0 eth1"},
		{name: "wildcard", args: "--listen=0.0.0.0:5556", interfaces: "lo eth0"},
		{name: "named", args: "--listen=192.0.2.1:5556 --interface=eth1", interfaces: "eth1"},
		{name: "no such interface", args: "--listen=192.0.2.1:5556 --interface=eth9", err: "--interface eth9: no such interface; this host has lo, eth0, eth1"},
		{name: "neighbour's address", args: "--listen=192.0.2.2:5556", err: "--listen 192.0.2.2:5556: no interface of this host has that address"},
		{
			name: "address to come", args: "--listen=192.0.2.2:5556 --interface=eth0",
			change: func(h *host) { h.Nonlocal4 = true }, interfaces: "eth0",
		},
		{
			name: "address to come, of the other family", args: "--listen=[2001:db8::2]:5556 --interface=eth0",
			change: func(h *host) { h.Nonlocal4 = true }, err: "net.ipv6.ip_nonlocal_bind",
		},
		{
			name: "address to come, nobody knows where", args: "--listen=192.0.2.2:5556",
			change: func(h *host) { h.Nonlocal4 = true }, err: "say with --interface where it will be",
		},
		{
			name: "all down", args: "--listen=0.0.0.0:5556",
			change: func(h *host) { h.Links = h.Links[2:] }, err: "no interface of this host is up",
		},
		{name: "too much memory", args: "--listen=192.0.2.1:5556 --rings=4 --ring-size=1GiB", err: "4 rings of it take 4.0 GiB, more than half of this host's 4.0 GiB"},
		{name: "no rings, no memory", args: "--listen=192.0.2.1:5556 --rings=4 --ring-size=1GiB --xdp=off", interfaces: "eth0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, err := parse(t, strings.Fields(test.args)...)
			if err != nil {
				t.Fatal(err)
			}
			h := testHost()
			if test.change != nil {
				test.change(&h)
			}
			err = o.resolve(h)
			switch {
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("error %v, want %q", err, test.err)
			case test.err == "" && err != nil:
				t.Error(err)
			case test.err == "" && strings.Join(o.Interfaces, " ") != test.interfaces:
				t.Errorf("interfaces %q, want %q", o.Interfaces, test.interfaces)
			}
		})
	}
}

func TestReadHost(t *testing.T) {
	h, err := readHost()
	if err != nil {
		t.Fatal(err)
	}
	if h.Memory == 0 || len(h.Links) == 0 {
		t.Errorf("%+v", h)
	}
	if owners := h.owners(netip.MustParseAddr("127.0.0.1")); !slices.Equal(owners, []string{"lo"}) {
		t.Errorf("127.0.0.1 is owned by %q", owners)
	}
}
