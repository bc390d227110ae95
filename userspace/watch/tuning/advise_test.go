package tuning

import (
	"strings"
	"testing"
	"time"
)

// eight is a host with eight CPUs in two nodes, on which every setting is good.
func eight() Host {
	return Host{
		CPUs:      []int{0, 1, 2, 3, 4, 5, 6, 7},
		Governors: map[string][]int{"performance": {0, 1, 2, 3, 4, 5, 6, 7}},
		Nodes:     map[int][]int{0: {0, 1, 2, 3}, 1: {4, 5, 6, 7}},
	}
}

// card is an interface of node 0 with two queues, on CPUs 0 and 1.
func card() Link {
	return Link{
		Name: "eth0", Receive: 2, Send: 2, Node: 0, HasDevice: true,
		IRQs: []IRQ{{45, "eth0-TxRx-0", []int{0}}, {46, "eth0-TxRx-1", []int{1}}},
	}
}

// check finds one finding and compares it. It also checks that every bad finding has advice.
func check(t *testing.T, name string, all []Finding, check string, well bool, text string) {
	t.Helper()
	found := false
	for _, f := range all {
		if !f.Well && f.Advice == "" || f.Value == "" {
			t.Errorf("%s: %+v", name, f)
		}
		if f.Check == check {
			found = true
			if f.Well != well || !strings.Contains(f.Value+"\n"+f.Advice, text) {
				t.Errorf("%s: %+v, want well %t with %q", name, f, well, text)
			}
		} else if !f.Well {
			t.Errorf("%s: unexpected %+v", name, f)
		}
	}
	if !found && text != "" || found && text == "" {
		t.Errorf("%s: finding %s is there: %t", name, check, found)
	}
}

func TestAdviseHost(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Host, *Daemon, *Link)
		check  string
		well   bool
		text   string // "": no such finding
	}{
		{"sound", func(*Host, *Daemon, *Link) {}, "governor", true, "performance"},
		{"saves power", func(h *Host, _ *Daemon, _ *Link) {
			h.Governors = map[string][]int{"performance": {0}, "powersave": {1, 2, 3, 5}}
		}, "governor", false, "powersave on CPU 1-3,5\nshould be performance: the clock of other governors rises late, so packets wait: cpupower frequency-set -g performance"},
		{"saves power in two ways", func(h *Host, _ *Daemon, _ *Link) {
			h.Governors = map[string][]int{"performance": {0}, "powersave": {1, 2}, "ondemand": {3, 5}}
		}, "governor", false, "ondemand on CPU 3,5; powersave on CPU 1-2\nshould be performance"},
		{"virtual machine", func(h *Host, _ *Daemon, _ *Link) { h.Governors = nil }, "governor", true, ""},
		{"balanced", func(h *Host, _ *Daemon, _ *Link) { h.IRQBalance = true }, "irqbalance", true, "runs"},
		{"balanced against pinning", func(h *Host, d *Daemon, _ *Link) {
			h.IRQBalance, d.Pinned = true, []int{2, 3}
		}, "irqbalance", false, "systemctl disable --now irqbalance"},
		{"not balanced", func(*Host, *Daemon, *Link) {}, "irqbalance", true, ""},
		{"a veth", func(h *Host, d *Daemon, l *Link) { *l, h.IRQBalance = Link{Name: "veth0", Node: -1}, true }, "irqbalance", true, ""},
		{"a veth, pinned", func(_ *Host, d *Daemon, l *Link) { *l, d.Pinned = Link{Name: "veth0", Node: -1}, []int{0} }, "consumers", true, ""},
		{"not pinned", func(*Host, *Daemon, *Link) {}, "consumers", true, "run --cpus 2-3 leaves"},
		{"pinned well", func(_ *Host, d *Daemon, _ *Link) { d.Pinned = []int{2, 3} }, "consumers", true, "on CPU 2-3"},
		{"pinned to interrupts", func(_ *Host, d *Daemon, _ *Link) { d.Pinned = []int{1, 2} }, "consumers", false, "of which 1 also receive interrupts of the interface\nthe XDP program runs on these CPUs and delays the consumers: run --cpus 2-3"},
		{"pinned far away", func(_ *Host, d *Daemon, _ *Link) { d.Pinned = []int{3, 4} }, "consumers", false, "of which 4 are on another NUMA node"},
		{"no nodes", func(h *Host, d *Daemon, l *Link) { h.Nodes, l.Node, d.Pinned = nil, -1, []int{6, 7} }, "consumers", true, "on CPU 6-7"},
		{"interrupts everywhere", func(h *Host, d *Daemon, l *Link) {
			h.CPUs, d.Pinned = []int{0, 1}, []int{0, 1}
		}, "consumers", true, "on CPU 0-1"},
		{"one CPU", func(h *Host, _ *Daemon, _ *Link) { h.CPUs = []int{0} }, "consumers", true, ""},
	} {
		h, l, d := eight(), card(), Daemon{}
		c.change(&h, &d, &l)
		check(t, c.name, AdviseHost(h, d, []Link{l}), c.check, c.well, c.text)
	}
}

func TestAdviseLink(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*Link, *Driver)
		generic bool
		check   string
		well    bool
		text    string
	}{
		{"few channels", func(_ *Link, v *Driver) { v.Channels = 2 }, false, "channels", false, "2 of at most 16 combined\nshould be 8, so that as many CPUs run the XDP program: ethtool -L eth0 combined 8"},
		{"enough channels", func(*Link, *Driver) {}, false, "channels", true, "8 of at most 16"},
		{"all that there are", func(_ *Link, v *Driver) { v.Channels, v.MaxChannels, v.Kind = 4, 4, "rx" }, false, "channels", true, "4 of at most 4 rx"},
		{"driver without channels", func(_ *Link, v *Driver) { *v = Driver{} }, false, "channels", true, ""},
		{"few descriptors", func(_ *Link, v *Driver) { v.Ring = 512 }, false, "descriptors", false, "ethtool -G eth0 rx 4096"},
		{"all descriptors", func(_ *Link, v *Driver) { v.Ring, v.MaxRing = 256, 256 }, false, "descriptors", true, "256 of at most 256"},
		{"merging", func(_ *Link, v *Driver) { v.Merging = []string{"lro", "rx-gro-hw"} }, false, "offloads", false, "ethtool -K eth0 lro off rx-gro-hw off"},
		{"VLAN tags removed", func(_ *Link, v *Driver) { v.StripsVLAN = true }, false, "vlan_offload", false, "rx-vlan-offload on: the XDP program can't see a tag that the card has removed\nshould be off if other VLANs reach this interface, whose frames the program would take as untagged: ethtool -K eth0 rxvlan off"},
		{"VLAN tags kept", func(*Link, *Driver) {}, false, "vlan_offload", true, ""},
		{"not merging", func(*Link, *Driver) {}, false, "offloads", true, ""},
		{"interrupts apart", func(*Link, *Driver) {}, false, "irq_affinity", true, "2 of receive queues, on CPU 0-1"},
		{"interrupts together", func(l *Link, _ *Driver) { l.IRQs[1].CPUs = []int{0} }, false, "irq_affinity", false,
			"should be on 2 CPUs, so that as many run the XDP program in parallel: echo 0 >/proc/irq/45/smp_affinity_list; echo 1 >/proc/irq/46/smp_affinity_list"},
		{"no interrupts", func(l *Link, _ *Driver) { l.IRQs = nil }, false, "irq_affinity", true, ""},
		{"no RPS, native", func(*Link, *Driver) {}, false, "rps", true, ""},
		{"RPS, native", func(l *Link, _ *Driver) { l.RPS = []int{0, 1} }, false, "rps", true, "native XDP runs before RPS"},
		{"no RPS, generic", func(*Link, *Driver) {}, true, "rps", false, "echo ff | tee /sys/class/net/eth0/queues/rx-*/rps_cpus"},
		{"RPS, generic", func(l *Link, _ *Driver) { l.RPS = []int{2, 3} }, true, "rps", true, "on CPU 2-3"},
		{"a queue for each CPU", func(l *Link, _ *Driver) { l.Receive = 8 }, true, "rps", true, ""},
		{"generic veth", func(l *Link, v *Driver) { *l, *v = Link{Name: "veth0", Receive: 1, Node: -1}, Driver{} }, true, "rps", true, ""},
		{"no XPS", func(l *Link, _ *Driver) { l.Send = 8 }, false, "xps", true, "echo 1 >/sys/class/net/eth0/queues/tx-0/xps_cpus"},
		{"XPS", func(l *Link, _ *Driver) { l.Send, l.XPS = 8, 8 }, false, "xps", true, "8 of 8 send queues"},
		{"few send queues", func(*Link, *Driver) {}, false, "xps", true, ""},
	} {
		l, v := card(), Driver{Channels: 8, MaxChannels: 16, Kind: "combined", Ring: 4096, MaxRing: 8192}
		c.change(&l, &v)
		check(t, c.name, AdviseLink(eight(), l, v, c.generic), c.check, c.well, c.text)
	}
	if all := AdviseLink(eight(), Link{Name: "veth0", Node: -1}, Driver{}, false); len(all) != 0 {
		t.Errorf("of a veth: %+v", all)
	}
}

func TestAdviseRings(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name   string
		daemon Daemon
		well   bool
		text   string
	}{
		{"none", Daemon{}, true, ""},
		{"of unknown size", Daemon{Rings: []Ring{{64 * mib, 0}, {0, 0}}, Rate: 100_000, RecordBytes: 512}, true, ""},
		{"nothing came", Daemon{Rings: []Ring{{64 * mib, 0}}, RecordBytes: 512}, true, "1 of 64 MiB, at most 0 % were in use"},
		// 100,000 times 512 bytes are 49 MiB a second; each ring gets half of that.
		{"enough", Daemon{Rings: []Ring{{64 * mib, mib}, {64 * mib, 0}}, Rate: 100_000, RecordBytes: 512}, true, "they hold 2.621s"},
		{"too small for a pause", Daemon{Rings: []Ring{{8 * mib, 0}, {8 * mib, 0}}, Rate: 100_000, RecordBytes: 512}, false, "should hold 2s: run --ring-size 64MiB"},
		{"was nearly full", Daemon{Rings: []Ring{{64 * mib, 60 * mib}, {64 * mib, 0}}, Rate: 10, RecordBytes: 512}, false, "at most 94 % were in use; at 10 events"},
		{"was nearly full: advice", Daemon{Rings: []Ring{{64 * mib, 60 * mib}}}, false, "run --ring-size 128MiB, or more --rings"},
		{"no end", Daemon{Rings: []Ring{{64 * mib, 0}}, Rate: 1e9, RecordBytes: 512}, false, "--ring-size 1GiB"},
		{"small", Daemon{Rings: []Ring{{64 << 10, 0}}, Rate: 100, RecordBytes: 512}, false, "--ring-size 128KiB"},
	} {
		check(t, c.name, AdviseRings(c.daemon, 2*time.Second), "ring_size", c.well, c.text)
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		cpus       []int
		list, mask string
	}{
		{nil, "", "0"},
		{[]int{0}, "0", "1"},
		{[]int{0, 1, 2, 3}, "0-3", "f"},
		{[]int{1, 3, 4, 33}, "1,3-4,33", "2,0000001a"},
		{[]int{64}, "64", "1,00000000,00000000"},
	} {
		if list, mask := formatCPUs(c.cpus), formatMask(c.cpus); list != c.list || mask != c.mask {
			t.Errorf("%v: %q, %q, want %q, %q", c.cpus, list, mask, c.list, c.mask)
		}
	}
}
