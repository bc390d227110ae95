package tuning

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"binrepd/userspace/in/thread"
)

// ReadHost reads the files below root, the root of the file system.
func ReadHost(root fs.FS) Host {
	h := Host{Governors: map[string][]int{}, Nodes: map[int][]int{}, CPUs: readList(root, "sys/devices/system/cpu/online")}
	for _, cpu := range h.CPUs {
		if g := readLine(root, fmt.Sprintf("sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", cpu)); g != "" {
			h.Governors[g] = append(h.Governors[g], cpu)
		}
	}
	for _, node := range readList(root, "sys/devices/system/node/online") {
		if cpus := readList(root, fmt.Sprintf("sys/devices/system/node/node%d/cpulist", node)); len(cpus) > 0 {
			h.Nodes[node] = cpus
		}
	}
	processes, _ := fs.Glob(root, "proc/[0-9]*/comm")
	h.IRQBalance = slices.ContainsFunc(processes, func(p string) bool { return readLine(root, p) == "irqbalance" })
	return h
}

// ReadLink reads about the interface with this name and index. sysfs may show another network namespace, if it was
// mounted there. Then only the name is set.
func ReadLink(root fs.FS, name string, index int) Link {
	l := Link{Name: name, Node: -1}
	dir := path.Join("sys/class/net", name)
	if n, err := strconv.Atoi(readLine(root, dir+"/ifindex")); err != nil || n != index {
		return l
	}
	receive, _ := fs.Glob(root, dir+"/queues/rx-*")
	send, _ := fs.Glob(root, dir+"/queues/tx-*")
	l.Receive, l.Send = len(receive), len(send)
	for _, q := range receive {
		l.RPS = union(l.RPS, readMask(root, q+"/rps_cpus"))
	}
	for _, q := range send {
		if len(readMask(root, q+"/xps_cpus")) > 0 {
			l.XPS++
		}
	}
	if _, err := fs.Stat(root, dir+"/device"); err != nil {
		return l
	}
	l.HasDevice = true
	if n, err := strconv.Atoi(readLine(root, dir+"/device/numa_node")); err == nil {
		l.Node = n
	}
	l.readIRQs(root, dir)
	return l
}

// readIRQs finds the interrupts of the interface's receive queues by their names in /proc/interrupts. Hardware
// interrupts contain the name of the interface, as in eth0-TxRx-0. Those of virtio contain the name of the device, as
// in virtio2-input.0. Interrupts that are only for sending or configuration are left out.
func (l *Link) readIRQs(root fs.FS, dir string) {
	device := ""
	if target, err := fs.ReadLink(root, dir+"/device"); err == nil {
		device = path.Base(target)
	}
	table, _ := fs.ReadFile(root, "proc/interrupts")
	for line := range strings.SplitSeq(string(table), "\n") {
		number, rest, found := strings.Cut(strings.TrimSpace(line), ":")
		fields := strings.Fields(rest)
		n, err := strconv.Atoi(number)
		if !found || err != nil || len(fields) == 0 {
			continue // the heading, or an interrupt of the processor itself
		}
		name := fields[len(fields)-1]
		if !belongs(name, l.Name) && (device == "" || !belongs(name, device)) || !receives(name) {
			continue
		}
		cpus := readList(root, fmt.Sprintf("proc/irq/%d/effective_affinity_list", n))
		if len(cpus) == 0 { // not every interrupt controller reports it
			cpus = readList(root, fmt.Sprintf("proc/irq/%d/smp_affinity_list", n))
		}
		if len(cpus) > 0 {
			l.IRQs = append(l.IRQs, IRQ{Number: n, Name: name, CPUs: cpus})
		}
	}
}

// belongs reports whether the name of the interrupt contains the name of the owner as a word. eth0-rx-1 and
// mlx5_comp0@eth0 contain eth0, but eth01 doesn't.
func belongs(irq, owner string) bool {
	for i := strings.Index(irq, owner); i >= 0; {
		end := i + len(owner)
		if (i == 0 || !wordy(irq[i-1])) && (end == len(irq) || !wordy(irq[end])) {
			return true
		}
		next := strings.Index(irq[i+1:], owner)
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

func wordy(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// receives reports whether an interrupt with this name may belong to a receive queue.
func receives(name string) bool {
	lower := strings.ToLower(name)
	if strings.Contains(lower, "rx") || strings.Contains(lower, "input") {
		return true
	}
	for _, other := range [...]string{"tx", "output", "config", "async", "misc", "ctrl", "control", "event", "mbox"} {
		if strings.Contains(lower, other) {
			return false
		}
	}
	return true
}

// readLine returns a file's text without surrounding white space, or "" if it can't be read.
func readLine(root fs.FS, name string) string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// readList reads numbers and ranges such as 0-3,8 and sorts them. It returns nil if there is no such file.
func readList(root fs.FS, name string) []int {
	list, err := thread.ParseCPUs(readLine(root, name))
	if err != nil {
		return nil
	}
	slices.Sort(list)
	return list
}

// readMask reads a mask of CPUs in groups of 32 bits, the highest first: 00000001,0000000f.
func readMask(root fs.FS, name string) (cpus []int) {
	groups := strings.Split(readLine(root, name), ",")
	slices.Reverse(groups)
	for i, group := range groups {
		bits, err := strconv.ParseUint(group, 16, 32)
		if err != nil {
			return nil
		}
		for bit := range 32 {
			if bits&(1<<bit) != 0 {
				cpus = append(cpus, 32*i+bit)
			}
		}
	}
	return cpus
}

func union(a, b []int) []int {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// ReadPinned returns the CPUs to which single threads of a process are bound. A thread counts as bound if it may run on
// fewer CPUs than the least restricted thread. The first thread can't serve as the reference, since it may be bound
// itself.
func ReadPinned(root fs.FS, pid int) (cpus []int) {
	files, _ := fs.Glob(root, fmt.Sprintf("proc/%d/task/*/status", pid))
	threads, most := make([][]int, len(files)), 0
	for i, name := range files {
		threads[i] = allowed(root, name)
		most = max(most, len(threads[i]))
	}
	for _, list := range threads {
		if len(list) < most {
			cpus = union(cpus, list)
		}
	}
	return cpus
}

// allowed reads the line Cpus_allowed_list in a status file of proc(5).
func allowed(root fs.FS, name string) []int {
	for line := range strings.SplitSeq(readLine(root, name), "\n") {
		if list, found := strings.CutPrefix(line, "Cpus_allowed_list:"); found {
			cpus, _ := thread.ParseCPUs(strings.TrimSpace(list))
			return cpus
		}
	}
	return nil
}
