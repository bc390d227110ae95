package tuning

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// AdviseHost checks everything that concerns all interfaces. links are the interfaces that the appliance serves.
func AdviseHost(h Host, d Daemon, links []Link) []Finding {
	var all []Finding
	if len(h.Governors) > 0 {
		var others []string
		for _, g := range slices.Sorted(maps.Keys(h.Governors)) {
			if g != "performance" {
				others = append(others, fmt.Sprintf("%s on CPU %s", g, formatCPUs(h.Governors[g])))
			}
		}
		f := Finding{Check: "governor", Well: true, Value: "performance"}
		if len(others) > 0 {
			f.Well, f.Value = false, strings.Join(others, "; ")
			f.Advice = "should be performance: the clock of other governors rises late, so packets wait: cpupower frequency-set -g performance"
		}
		all = append(all, f)
	}
	if interrupts(links) != nil && h.IRQBalance {
		f := Finding{Check: "irqbalance", Well: true, Value: "runs, and may move interrupts"}
		if len(d.Pinned) > 0 {
			f.Well = false
			f.Advice = "consumers are bound to CPUs (--cpus " + formatCPUs(d.Pinned) +
				"), and irqbalance may move interrupts there: systemctl disable --now irqbalance, or ban these CPUs in its configuration"
		}
		all = append(all, f)
	}
	if f, ok := adviseConsumers(h, d, links); ok {
		all = append(all, f)
	}
	return all
}

// adviseConsumers checks where consumers run, relative to interrupts and memory. Without interrupts it has nothing to
// say.
func adviseConsumers(h Host, d Daemon, links []Link) (Finding, bool) {
	busy := interrupts(links)
	if len(busy) == 0 || len(h.CPUs) < 2 {
		return Finding{}, false
	}
	free := without(h.CPUs, busy)
	for _, l := range links {
		if local := h.Nodes[l.Node]; len(h.Nodes) > 1 && len(intersection(free, local)) > 0 {
			free = intersection(free, local) // a ring is read fastest on the node where the card has written it
		}
	}
	f := Finding{Check: "consumers", Well: true, Value: "run on CPUs that the kernel chooses"}
	take := ""
	if len(free) > 0 {
		take = "run --cpus " + formatCPUs(free)
	}
	if len(d.Pinned) == 0 {
		if take != "" {
			f.Advice = "these CPUs receive no interrupts of the interface: " + formatCPUs(free) + "; " + take + " leaves the others to the XDP program"
		}
		return f, true
	}
	f.Value = "run on CPU " + formatCPUs(d.Pinned)
	if shared := intersection(d.Pinned, busy); len(shared) > 0 && take != "" {
		f.Well, f.Value = false, f.Value+fmt.Sprintf(", of which %s also receive interrupts of the interface", formatCPUs(shared))
		f.Advice = "the XDP program runs on these CPUs and delays the consumers: " + take
	} else if far := without(d.Pinned, localTo(h, links)); len(far) > 0 && take != "" {
		f.Well, f.Value = false, f.Value+fmt.Sprintf(", of which %s are on another NUMA node than the interface", formatCPUs(far))
		f.Advice = "every packet crosses the nodes: " + take
	}
	return f, true
}

// localTo returns the CPUs of the links' nodes. It returns all CPUs if the host has one node or the nodes are unknown.
func localTo(h Host, links []Link) []int {
	var local []int
	for _, l := range links {
		cpus := h.Nodes[l.Node]
		if len(h.Nodes) < 2 || len(cpus) == 0 {
			return h.CPUs
		}
		local = union(local, cpus)
	}
	return local
}

// AdviseLink checks one interface. generic says that XDP runs there in generic mode, or not at all.
func AdviseLink(h Host, l Link, v Driver, generic bool) []Finding {
	var all []Finding
	if v.Channels > 0 && len(h.CPUs) > 0 {
		f := Finding{Check: "channels", Well: true, Value: fmt.Sprintf("%d of at most %d %s", v.Channels, v.MaxChannels, v.Kind)}
		if want := min(v.MaxChannels, len(h.CPUs)); v.Channels < want {
			f.Well = false
			f.Advice = fmt.Sprintf("should be %d, so that as many CPUs run the XDP program: ethtool -L %s %s %d", want, l.Name, v.Kind, want)
		}
		all = append(all, f)
	}
	if v.Ring > 0 {
		f := Finding{Check: "descriptors", Well: true, Value: fmt.Sprintf("%d of at most %d for each receive queue", v.Ring, v.MaxRing)}
		if want := min(v.MaxRing, wantDescriptors); v.Ring < want {
			f.Well = false
			f.Advice = fmt.Sprintf("should be %d, so that bursts are not lost before the XDP program sees them: ethtool -G %s rx %d", want, l.Name, want)
		}
		all = append(all, f)
	}
	if len(v.Merging) > 0 {
		f := Finding{Check: "offloads", Value: "on: " + strings.Join(v.Merging, ", ")}
		f.Advice = "should be off: the card merges frames, and then many drivers refuse native XDP: ethtool -K " + l.Name
		for _, name := range v.Merging {
			f.Advice += " " + name + " off"
		}
		all = append(all, f)
	}
	if v.StripsVLAN {
		all = append(all, Finding{
			Check: "vlan_offload", Value: "rx-vlan-offload on: the XDP program can't see a tag that the card has removed",
			Advice: "should be off if other VLANs reach this interface, whose frames the program would take as untagged: ethtool -K " + l.Name + " rxvlan off",
		})
	}
	all = append(all, adviseIRQs(h, l)...)
	all = append(all, adviseSpread(h, l, generic)...)
	return all
}

// wantDescriptors in each queue hold a millisecond of traffic at four million packets a second.
const wantDescriptors = 4096

// adviseIRQs checks on which CPUs a link's interrupts arrive. Each interrupt should have its own CPU if there are
// enough.
func adviseIRQs(h Host, l Link) []Finding {
	if len(l.IRQs) == 0 {
		return nil
	}
	busy := interrupts([]Link{l})
	f := Finding{Check: "irq_affinity", Well: true, Value: fmt.Sprintf("%d of receive queues, on CPU %s", len(l.IRQs), formatCPUs(busy))}
	if want := min(len(l.IRQs), len(h.CPUs)); len(busy) < want {
		var commands []string
		for i, irq := range l.IRQs[:min(len(l.IRQs), 4)] {
			commands = append(commands, fmt.Sprintf("echo %d >/proc/irq/%d/smp_affinity_list", h.CPUs[i%len(h.CPUs)], irq.Number))
		}
		if len(l.IRQs) > 4 {
			commands = append(commands, "and so on")
		}
		f.Well = false
		f.Advice = fmt.Sprintf("should be on %d CPUs, so that as many run the XDP program in parallel: ", want) + strings.Join(commands, "; ")
	}
	return []Finding{f}
}

// adviseSpread checks two settings of the kernel: how it spreads received packets if there are fewer queues than CPUs
// (RPS), and which queue a CPU sends from (XPS).
func adviseSpread(h Host, l Link, generic bool) []Finding {
	var all []Finding
	if l.HasDevice && generic && l.Receive > 0 && l.Receive < len(h.CPUs) {
		f := Finding{Check: "rps", Well: true, Value: "on CPU " + formatCPUs(l.RPS)}
		if len(l.RPS) == 0 {
			f.Well, f.Value = false, fmt.Sprintf("off, with %d of %d CPUs receiving", l.Receive, len(h.CPUs))
			f.Advice = fmt.Sprintf("without native XDP, RPS spreads the packets of several proxies over the CPUs: echo %s | tee /sys/class/net/%s/queues/rx-*/rps_cpus",
				formatMask(h.CPUs), l.Name)
		}
		all = append(all, f)
	} else if len(l.RPS) > 0 && !generic {
		all = append(all, Finding{
			Check: "rps", Well: true, Value: "on CPU " + formatCPUs(l.RPS) + "; native XDP runs before RPS, so it has no effect on it",
		})
	}
	if l.HasDevice && l.Send > 1 && l.Send >= len(h.CPUs) {
		f := Finding{Check: "xps", Well: true, Value: fmt.Sprintf("%d of %d send queues have CPUs", l.XPS, l.Send)}
		if l.XPS == 0 {
			f.Advice = "with --replicate-to, a queue for each CPU avoids locks: echo 1 >/sys/class/net/" + l.Name +
				"/queues/tx-0/xps_cpus, 2 for tx-1, 4 for tx-2 and so on"
		}
		all = append(all, f)
	}
	return all
}
