package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/in/thread"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/tuning"
	"binrepd/userspace/wire/bin1/bin1test"
)

func TestDaemonFacts(t *testing.T) {
	now := time.Unix(1_795_000_000, 0)
	s := control.Status{Started: now.Add(-100 * time.Second), Dialogs: 90, Early: 10, Memory: control.Memory{Records: 50_000}}
	s.Seen = 5000
	s.Rings = []control.RingStatus{{Size: 1 << 20, HighWater: 4096}}
	s.Sources = []control.SourceStatus{{Rate: 20}, {Rate: 10}}
	got := daemonFacts(&s, now)
	if got.Rate != 50 || got.RecordBytes != 500+recordHeader || len(got.Rings) != 1 || got.Rings[0] != (tuning.Ring{Size: 1 << 20, HighWater: 4096}) {
		t.Errorf("%+v", got)
	}
	s.Sources[0].Rate = 200
	if got := daemonFacts(&s, now); got.Rate != 210 {
		t.Errorf("rate %v, want that of now", got.Rate)
	}
	if got := daemonFacts(&control.Status{Started: now}, now); got.Rate != 0 || got.RecordBytes != usualRecord {
		t.Errorf("of one that has just started: %+v", got)
	}
}

func TestDoctorStall(t *testing.T) {
	for _, text := range []string{"0s", "-1s", "2m"} {
		checkUsage(t, []usageTest{{"doctor --interface lo --stall " + text, "--stall"}})
	}
}

// TestDoctorAdvises on a veth pair with two queues, one of them unused, and on an appliance with rings too small for a minute.
func TestDoctorAdvises(t *testing.T) {
	p := pair{proxy: bpftest.NewNamespace(t), appliance: bpftest.NewNamespace(t)}
	p.appliance.Do(func() error {
		veth := netlink.NewVeth(netlink.NewLinkAttrs())
		veth.Name, veth.NumRxQueues, veth.NumTxQueues, veth.PeerName = "wide0", 2, 2, "wide1"
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		_, err = e.SetChannels("wide0", ethtool.Channels{RxCount: 1, TxCount: 2})
		return err
	})
	got := examineIn(t, p.appliance, "wide0")
	if cpus, err := thread.Allowed(); err == nil && len(cpus) > 1 {
		checkFindings(t, "wide0", got.Findings, "channels", findingWarning, "1 of at most 2 rx\nshould be 2, so that as many CPUs run the XDP program: ethtool -L wide0 rx 2")
	}
	for _, f := range got.Findings {
		if slices.Contains([]string{"irq_affinity", "rps", "offloads", "descriptors"}, f.Check) {
			t.Errorf("a veth has none of these: %+v", f)
		}
	}

	bpftest.Veth(1500,
		bpftest.End{In: p.proxy, Name: "proxy0", Addresses: []netip.Prefix{netip.MustParsePrefix(proxyAddr + "/24")}},
		bpftest.End{In: p.appliance, Name: "bin0", Addresses: []netip.Prefix{netip.MustParsePrefix(ourAddr + "/24")}})
	d := startDaemon(t, p.appliance, "--listen", listenAt, "--xdp", "native", "--rings", "2", "--ring-size", "256KiB", "--cpus", "0")
	conn := dial(t, p.proxy, proxyAddr+":5555", listenAt)
	proxy := bin1test.NewProxy(1, bin1test.Realistic(nowUnix(), 50))
	const packets = 2000
	d.feed(conn, 0, packets, func(uint64) []byte { return proxy.Next(nil) })
	d.await("a rate", func() bool { return time.Since(d.status().Started) > time.Second })
	out, stderr, status := command(t, p.appliance, "doctor", "--interface", "bin0", "--control", d.socket, "--stall", "1m", "--json")
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != exitDone {
		t.Fatalf("status %d, %v: %s%s", status, err, out, stderr)
	}
	checkFindings(t, "host", r.Findings, "appliance", findingOK, fmt.Sprintf("process %d runs", d.cmd.Process.Pid))
	checkFindings(t, "host", r.Findings, "ring_size", findingWarning, "should hold 1m0s: run --ring-size ")
	i := slices.IndexFunc(r.Findings, func(f finding) bool { return f.Check == "ring_size" })
	if v := r.Findings[i].Value; !strings.HasPrefix(v, "2 of 256 KiB, at most ") || strings.Contains(v, "at most 0 %") {
		t.Errorf("rings: %s", v)
	}
	if cpus, err := thread.Allowed(); err == nil && len(cpus) > 1 {
		if pinned := tuning.ReadPinned(os.DirFS("/"), d.cmd.Process.Pid); !slices.Equal(pinned, []int{0}) {
			t.Errorf("consumers are bound to %v", pinned)
		}
	}
	d.stop()
}
