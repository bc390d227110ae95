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
	"binrepd/userspace/appliance"
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
	prepare(app.Commands, "", "binrepd", plainWidth)
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
	want := appliance.Config{
		Listen: []netip.AddrPort{
			netip.MustParseAddrPort("192.0.2.1:5556"), netip.MustParseAddrPort("192.0.2.2:5556"),
			netip.MustParseAddrPort("[2001:db8::1]:5557"),
		},
		Interfaces: []string{"eth1", "eth2"},
		XDP:        appliance.XDPNative, Rings: 4, RingSize: 1 << 30, Shards: 12, ShardsAsked: 10, Control: "/tmp/c.sock",
		ExpiryGrace: 60 * time.Second, Tombstone: 32 * time.Second, EarlyTimeout: 90 * time.Second,
	}
	if !slices.Equal(o.Listen, want.Listen) || !slices.Equal(o.Interfaces, want.Interfaces) {
		t.Errorf("%+v, want %+v", o, want)
	}
	o.Listen, o.Interfaces, want.Listen, want.Interfaces = nil, nil, nil, nil
	if !equalValues(o.Config, want) || o.LogLevel != slog.LevelWarn || o.LogFormat != logJSON {
		t.Errorf("%+v, want %+v", o, want)
	}
}

// equalValues compares all but the slices.
func equalValues(a, b appliance.Config) bool {
	return a.XDP == b.XDP && a.Rings == b.Rings && a.RingSize == b.RingSize && a.Shards == b.Shards &&
		a.ShardsAsked == b.ShardsAsked && a.Control == b.Control && a.ExpiryGrace == b.ExpiryGrace &&
		a.Tombstone == b.Tombstone && a.EarlyTimeout == b.EarlyTimeout
}

func TestDefaults(t *testing.T) {
	o, err := parse(t, "--listen", "127.0.0.1:5556")
	if err != nil {
		t.Fatal(err)
	}
	want := appliance.Config{
		XDP: appliance.XDPAuto, Rings: bpf.DefaultRings(), RingSize: 64 << 20, Shards: 16 * bpf.DefaultRings(), Control: "/run/binrepd/control.sock",
		ExpiryGrace: 60 * time.Second, Tombstone: 64 * time.Second, EarlyTimeout: 180 * time.Second,
	}
	if !equalValues(o.Config, want) || o.LogFormat != logText {
		t.Errorf("%+v, want %+v", o, want)
	}
}

func TestRefusedOptions(t *testing.T) {
	t.Parallel()
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
		{"--cluster=0", "--cluster 0: not an id from 1 to 65535"},
		{"--cluster=1 --cluster=1", "--cluster 1: given twice"},
		{"--cluster=1", "--node: say which node of cluster 1 this is"},
		{"--cluster=1 --node=3", "--cluster-listen: say where nodes of cluster 1 reach this one"},
		{"--cluster=1 --node=x", "--node x: not a node id"},
		{"--cluster=1 --node=3 --node=1/4", "--node 1/4: cluster 1 has node 3 already"},
		{"--cluster=1 --node=3 --cluster-listen=10.0.0.3:5566", "neither the scheme bin nor bins"},
		{"--cluster=1 --node=3 --cluster-listen=bin:0.0.0.0:5566", "not an address of one host"},
		{"--cluster=1 --node=3 --cluster-listen=bin:10.0.0.3:0", "port 0 is none"},
		{"--cluster=1 --node=3 --cluster-listen=bin:10.0.0.3 --cluster-peer=bin:10.0.0.1", "not NODE=VALUE"},
		{"--cluster=1 --node=3 --cluster-listen=bin:10.0.0.3 --cluster-peer=2/1=bin:10.0.0.1", `"2" is no --cluster`},
		{"--cluster=1 --node=3 --cluster-listen=bin:10.0.0.3 --cluster-peer=3=bin:10.0.0.1", "--cluster 1: peer 3 is this node itself"},
		{"--cluster=1 --node=3 --cluster-listen=bins:10.0.0.3", "a bins URL needs a certificate, a key and a CA"},
		{"--cluster=1 --node=3 --cluster-listen=bins:10.0.0.3 --tls-cert=c", "--tls-cert and --tls-key: both are needed"},
		{"--cluster=1 --node=3 --cluster-listen=bins:10.0.0.3 --tls-cert=c --tls-key=k", "--tls-ca: say which CA"},
		{"--cluster=1 --node=3 --cluster-listen=bin:10.0.0.3 --tls-cert=c --tls-key=k --tls-ca=a", "no --cluster-listen or --cluster-peer has a bins URL"},
		{"--cluster=1 --node=3 --cluster-listen=bin:10.0.0.3 --tls-peer=1=ab", "not a SHA-256 fingerprint"},
		{"--cluster=1 --node=3 --cluster-listen=bin:10.0.0.3 --cluster-fixed", "no peers, and none may be learned"},
		{"--cluster=1 --cluster=2 --node=3 --cluster-listen=bin:10.0.0.3", "clusters 1 and 2 need an address or a port of their own"},
		{"--cluster=1 --node=3 --cluster-listen=bin:10.0.0.3 --xdp=native", "XDP serves UDP only"},
		{"--listen=192.0.2.1:5556 --node=3", "--node 3: there is no --cluster for it"},
		{"--listen=192.0.2.1:5556 --tls-key=k", "--tls-key: there is no --cluster for it"},
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

// TestClusterFlags: the example of docs/flags.md, with two clusters.
func TestClusterFlags(t *testing.T) {
	t.Setenv("BINREPD_NODE", "3")
	o, err := parse(t, "--cluster", "1", "--cluster", "2",
		"--cluster-listen", "1/bin:10.0.0.3:5566", "--cluster-listen", "2/bins:10.0.0.3:5556",
		"--cluster-peer", "1/1=bin:10.0.0.1:5566", "--cluster-peer", "2/1=bins:10.0.0.1:5556", "--cluster-peer", "2/2=bins:10.0.0.2:5556",
		"--tls-cert", "node3.pem", "--tls-key", "node3.key", "--tls-ca", "ca.pem",
		"--tls-peer", "2/2=sha256 Fingerprint="+strings.Repeat("AB:", 31)+"AB")
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Clusters) != 2 || len(o.Listen) != 0 || o.XDP != appliance.XDPOff {
		t.Fatalf("%+v", o.Config)
	}
	one, two := o.Clusters[0], o.Clusters[1]
	if one.Node != 3 || two.Node != 3 || one.Listen.String() != "bin:10.0.0.3:5566" || two.Listen.String() != "bins:10.0.0.3:5556" {
		t.Errorf("%+v, %+v", one, two)
	}
	if len(one.Peers) != 1 || len(two.Peers) != 2 || two.Peers[1].URL.String() != "bins:10.0.0.2:5556" {
		t.Errorf("%+v, %+v", one.Peers, two.Peers)
	}
	if pins := two.Peers[1].Pins; len(pins) != 1 || pins[0] != strings.Repeat("ab", 32) {
		t.Errorf("%q", pins)
	}
}
