package doctor

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"binrepd/bpf"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/watch/tuning"
)

// hostFacts is what the kernel says of the host as a whole.
type hostFacts struct {
	Release string // "6.1.0-28-amd64"
	BTF     bool   // the kernel describes its types
	// Kernel parameters as they are in /proc/sys, "" if they can't be read: several of net/core are absent in every
	// network namespace but the first.
	JIT             string
	UnprivilegedBPF string
	ReceiveMax      string
	Lockdown        string // as in /sys/kernel/security/lockdown, "" without that module
	BPFFS           bool   // a BPF filesystem is mounted at bpfFolder
	// Held are the capabilities in effect that matter here, Missing those that XDP needs and the process lacks, by name.
	Held, Missing []string
	// Nested says that the process is in a user namespace of its own, as in a container without root.
	Nested bool
}

// KernelRelease returns the release of the running kernel as uname prints it.
func KernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Sprintf("unknown: %v", err)
	}
	return unix.ByteSliceToString(u.Release[:])
}

// readHostFacts asks the kernel. What can't be read is reported as unknown.
func readHostFacts() hostFacts {
	lockdown, _ := os.ReadFile("/sys/kernel/security/lockdown") // absent: no lockdown
	_, btf := os.Stat("/sys/kernel/btf/vmlinux")
	return hostFacts{
		Release:         KernelRelease(),
		BTF:             btf == nil,
		JIT:             tuning.Sysctl("net/core/bpf_jit_enable"),
		UnprivilegedBPF: tuning.Sysctl("kernel/unprivileged_bpf_disabled"),
		ReceiveMax:      tuning.Sysctl("net/core/rmem_max"),
		Lockdown:        strings.TrimSpace(string(lockdown)),
		BPFFS:           bpf.IsFileSystem(bpfFolder),
		Held:            bpf.HeldCapabilities(),
		Missing:         bpf.MissingCapabilities(),
		Nested:          nested(),
	}
}

// nested reports whether this is another user namespace than the first. The first one maps every number to itself
// (user_namespaces(7)).
func nested() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !slices.Equal(strings.Fields(string(b)), []string{"0", "0", "4294967295"})
}

// findings judges the host.
func (h hostFacts) findings() []Finding {
	return []Finding{
		h.kernel(), h.btf(), h.jit(), h.caps(), h.unprivileged(), h.lockdown(), h.bpffs(), h.receiveBuffer(),
	}
}

func (h hostFacts) kernel() Finding {
	f := Finding{Check: "kernel", Status: OK, Value: h.Release}
	var major, minor int
	if _, err := fmt.Sscanf(h.Release, "%d.%d", &major, &minor); err != nil {
		f.Status = Warning
		f.Advice = "its version can't be read; XDP needs 5.18 or later"
	} else if major < 5 || major == 5 && minor < 18 {
		f.Status = Problem
		f.Advice = "XDP needs kernel 5.18 or later; with this one only --xdp off works"
	}
	return f
}

func (h hostFacts) btf() Finding {
	if h.BTF {
		return Finding{Check: "btf", Status: OK, Value: "present"}
	}
	return Finding{
		Check: "btf", Status: Warning, Value: "absent",
		Advice: "binrepd runs without, but bpftool shows its maps as bare bytes; CONFIG_DEBUG_INFO_BTF=y in the kernel adds it",
	}
}

func (h hostFacts) jit() Finding {
	f := Finding{Check: "jit", Status: OK}
	switch h.JIT {
	case "1":
		f.Value = "on"
	case "2":
		f.Value, f.Status = "on, with debug output", Warning
		f.Advice = "sysctl -w net.core.bpf_jit_enable=1: the debug output is slow and shows kernel addresses in the log"
	case "0":
		f.Value, f.Status = "off", Warning
		f.Advice = "sysctl -w net.core.bpf_jit_enable=1: interpreted, the XDP program is several times slower"
	default:
		f.Value = "unknown, net.core.bpf_jit_enable can't be read in this network namespace"
	}
	return f
}

func (h hostFacts) caps() Finding {
	f := Finding{
		Check: "capabilities", Status: OK,
		Value: "held: " + orNone(h.Held) + "; missing: " + orNone(h.Missing),
	}
	switch {
	case h.Nested:
		f.Status = Problem
		f.Advice = "this is a user namespace of its own (a rootless container), whose capabilities don't count for XDP: " +
			"run it in the host's, or with --xdp off"
	case len(h.Missing) > 0:
		f.Status = Problem
		f.Advice = "run as root, or grant " + strings.Join(h.Missing, " and ") + " (systemd: AmbientCapabilities=, Docker: --cap-add)"
	}
	return f
}

// orNone lists names, or says that there are none.
func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

func (h hostFacts) unprivileged() Finding {
	f := Finding{Check: "unprivileged_bpf", Status: OK}
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

func (h hostFacts) lockdown() Finding {
	f := Finding{Check: "lockdown", Status: OK}
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

// bpfFolder is where systemd and others mount a BPF filesystem.
const bpfFolder = "/sys/fs/bpf"

func (h hostFacts) bpffs() Finding {
	if h.BPFFS {
		return Finding{Check: "bpffs", Status: OK, Value: "mounted at " + bpfFolder}
	}
	return Finding{
		Check: "bpffs", Status: OK, Value: "not mounted at " + bpfFolder,
		Advice: "needed for run --pin only: mount -t bpf bpf " + bpfFolder,
	}
}

// receiveBuffer judges net.core.rmem_max. It limits every process that lacks CAP_NET_ADMIN in the first user namespace
// (SO_RCVBUFFORCE, socket(7)).
func (h hostFacts) receiveBuffer() Finding {
	f := Finding{Check: "socket_buffer", Status: OK}
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
		f.Status = Warning
		f.Advice = fmt.Sprintf("sysctl -w net.core.rmem_max=%d: bursts to the plain sockets are lost sooner", socket.DefaultReceiveBuffer)
	}
	return f
}
