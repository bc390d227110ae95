package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"binrepd/bpf"
	"binrepd/userspace/in/socket"
)

// hostFacts is what doctor asks of the kernel, as far as it concerns every interface.
type hostFacts struct {
	Release string // "6.1.0-28-amd64"
	BTF     bool   // the kernel describes its types
	// Kernel parameters as they are written in /proc/sys, "" where they can't be read: several of net/core are absent
	// in a network namespace other than the first.
	JIT             string
	UnprivilegedBPF string
	ReceiveMax      string
	Lockdown        string // as in /sys/kernel/security/lockdown, "" without that module
	BPFFS           bool   // a BPF filesystem is where it is expected
	// Held and Missing are capabilities by name: those in effect that matter, and those that XDP needs and lacks.
	Held, Missing []string
	// Nested tells that the process is in a user namespace of its own, as in a container without root.
	Nested bool
}

// readHostFacts asks the kernel. What can't be read is reported as unknown.
func readHostFacts() hostFacts {
	lockdown, _ := os.ReadFile("/sys/kernel/security/lockdown") // absent: no lockdown
	_, btf := os.Stat("/sys/kernel/btf/vmlinux")
	return hostFacts{
		Release:         kernelRelease(),
		BTF:             btf == nil,
		JIT:             sysctl("net/core/bpf_jit_enable"),
		UnprivilegedBPF: sysctl("kernel/unprivileged_bpf_disabled"),
		ReceiveMax:      sysctl("net/core/rmem_max"),
		Lockdown:        strings.TrimSpace(string(lockdown)),
		BPFFS:           bpf.IsFileSystem(bpfFolder),
		Held:            bpf.HeldCapabilities(),
		Missing:         bpf.MissingCapabilities(),
		Nested:          nested(),
	}
}

// nested tells whether this is a user namespace other than the first, in which all numbers stand for themselves
// (user_namespaces(7)).
func nested() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !slices.Equal(strings.Fields(string(b)), []string{"0", "0", "4294967295"})
}

// findings judges the host.
func (h hostFacts) findings() []finding {
	return []finding{
		h.kernel(), h.btf(), h.jit(), h.caps(), h.unprivileged(), h.lockdown(), h.bpffs(), h.receiveBuffer(),
	}
}

func (h hostFacts) kernel() finding {
	f := finding{Check: "kernel", Status: findingOK, Value: h.Release}
	var major, minor int
	if _, err := fmt.Sscanf(h.Release, "%d.%d", &major, &minor); err != nil {
		f.Status = findingWarning
		f.Advice = "its version can't be read; XDP needs 5.18 or later"
	} else if major < 5 || major == 5 && minor < 18 {
		f.Status = findingProblem
		f.Advice = "XDP needs kernel 5.18 or later; with this one only --xdp off works"
	}
	return f
}

func (h hostFacts) btf() finding {
	if h.BTF {
		return finding{Check: "btf", Status: findingOK, Value: "present"}
	}
	return finding{
		Check: "btf", Status: findingWarning, Value: "absent",
		Advice: "binrepd runs without, but bpftool shows its maps as bare bytes; CONFIG_DEBUG_INFO_BTF=y in the kernel adds it",
	}
}

func (h hostFacts) jit() finding {
	f := finding{Check: "jit", Status: findingOK}
	switch h.JIT {
	case "1":
		f.Value = "on"
	case "2":
		f.Value, f.Status = "on, with debug output", findingWarning
		f.Advice = "sysctl -w net.core.bpf_jit_enable=1: the debug output is slow and shows kernel addresses in the log"
	case "0":
		f.Value, f.Status = "off", findingWarning
		f.Advice = "sysctl -w net.core.bpf_jit_enable=1: interpreted, the XDP program is several times slower"
	default:
		f.Value = "unknown, net.core.bpf_jit_enable can't be read in this network namespace"
	}
	return f
}

func (h hostFacts) caps() finding {
	f := finding{
		Check: "capabilities", Status: findingOK,
		Value: "held: " + orNone(h.Held) + "; missing: " + orNone(h.Missing),
	}
	switch {
	case h.Nested:
		f.Status = findingProblem
		f.Advice = "this is a user namespace of its own (a rootless container), whose capabilities don't count for XDP: " +
			"run it in the host's, or with --xdp off"
	case len(h.Missing) > 0:
		f.Status = findingProblem
		f.Advice = "run as root, or grant " + strings.Join(h.Missing, " and ") + " (systemd: AmbientCapabilities=, Docker: --cap-add)"
	}
	return f
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

func (h hostFacts) unprivileged() finding {
	f := finding{Check: "unprivileged_bpf", Status: findingOK}
	switch h.UnprivilegedBPF {
	case "0":
		f.Value = "allowed"
		f.Advice = "not needed by binrepd; sysctl -w kernel.unprivileged_bpf_disabled=2 closes BPF to ordinary users"
	case "1", "2":
		f.Value = "disabled; no hindrance, a process with CAP_BPF may load programs"
	default:
		f.Value = "unknown, kernel.unprivileged_bpf_disabled can't be read; no hindrance with CAP_BPF"
	}
	return f
}

func (h hostFacts) lockdown() finding {
	f := finding{Check: "lockdown", Status: findingOK}
	switch _, rest, _ := strings.Cut(h.Lockdown, "["); {
	case h.Lockdown == "":
		f.Value = "not in this kernel"
	case strings.HasPrefix(rest, "none]"):
		f.Value = "none"
	default:
		mode, _, _ := strings.Cut(rest, "]")
		f.Value = mode + "; no hindrance, the XDP program doesn't read kernel memory"
	}
	return f
}

// bpfFolder is where BPF filesystems are mounted, by systemd among others.
const bpfFolder = "/sys/fs/bpf"

func (h hostFacts) bpffs() finding {
	if h.BPFFS {
		return finding{Check: "bpffs", Status: findingOK, Value: "mounted at " + bpfFolder}
	}
	return finding{
		Check: "bpffs", Status: findingOK, Value: "not mounted at " + bpfFolder,
		Advice: "needed for run --pin only: mount -t bpf bpf " + bpfFolder,
	}
}

// receiveBuffer judges net.core.rmem_max, which binds a process without CAP_NET_ADMIN in the first user namespace
// (SO_RCVBUFFORCE, socket(7)).
func (h hostFacts) receiveBuffer() finding {
	f := finding{Check: "socket_buffer", Status: findingOK}
	limit, err := humanize.ParseBytes(h.ReceiveMax)
	switch {
	case h.ReceiveMax == "" || err != nil:
		f.Value = "unknown, net.core.rmem_max can't be read in this network namespace"
		return f
	case slices.Contains(h.Held, "CAP_NET_ADMIN") && !h.Nested:
		f.Value = fmt.Sprintf("%s by CAP_NET_ADMIN, net.core.rmem_max of %s doesn't bind",
			humanize.IBytes(socket.DefaultReceiveBuffer), humanize.IBytes(limit))
		return f
	}
	f.Value = fmt.Sprintf("net.core.rmem_max is %s", humanize.IBytes(limit))
	if limit < socket.DefaultReceiveBuffer {
		f.Status = findingWarning
		f.Advice = fmt.Sprintf("sysctl -w net.core.rmem_max=%d: bursts to the plain sockets are lost sooner", socket.DefaultReceiveBuffer)
	}
	return f
}
