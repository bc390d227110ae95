package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"binrepd/bpf"
	"binrepd/userspace/watch/control"
)

// soundHost is a host on which nothing is to be found.
func soundHost() hostFacts {
	return hostFacts{
		Release: "6.1.0-28-amd64", BTF: true, JIT: "1", UnprivilegedBPF: "2", ReceiveMax: "212992",
		Lockdown: "[none] integrity confidentiality", Held: []string{"CAP_BPF", "CAP_NET_ADMIN"},
	}
}

func TestHostFindings(t *testing.T) {
	for _, test := range []struct {
		name          string
		change        func(*hostFacts)
		check, status string
		text          string // in value or advice
	}{
		{"sound", func(*hostFacts) {}, "kernel", OK, "6.1.0-28-amd64"},
		{"kernel too old", func(h *hostFacts) { h.Release = "5.15.0-91-generic" }, "kernel", Problem, "5.18 or later"},
		{"oldest good kernel", func(h *hostFacts) { h.Release = "5.18.0" }, "kernel", OK, "5.18.0"},
		{"strange kernel", func(h *hostFacts) { h.Release = "mine" }, "kernel", Warning, "can't be read"},
		{"no BTF", func(h *hostFacts) { h.BTF = false }, "btf", Warning, "CONFIG_DEBUG_INFO_BTF"},
		{"interpreter", func(h *hostFacts) { h.JIT = "0" }, "jit", Warning, "sysctl -w net.core.bpf_jit_enable=1"},
		{"debug JIT", func(h *hostFacts) { h.JIT = "2" }, "jit", Warning, "sysctl -w net.core.bpf_jit_enable=1"},
		{"JIT in another namespace", func(h *hostFacts) { h.JIT = "" }, "jit", OK, "unknown"},
		{"missing capability", func(h *hostFacts) { h.Held, h.Missing = nil, []string{"CAP_BPF"} }, "capabilities", Problem, "grant CAP_BPF"},
		{"rootless container", func(h *hostFacts) { h.Nested = true }, "capabilities", Problem, "user namespace"},
		{"BPF for all", func(h *hostFacts) { h.UnprivilegedBPF = "0" }, "unprivileged_bpf", OK, "kernel.unprivileged_bpf_disabled=2"},
		{"lockdown", func(h *hostFacts) { h.Lockdown = "none [integrity] confidentiality" }, "lockdown", OK, "integrity; no hindrance"},
		{"no lockdown", func(*hostFacts) {}, "lockdown", OK, "none"},
		{"no such module", func(h *hostFacts) { h.Lockdown = "" }, "lockdown", OK, "not in this kernel"},
		{"pins", func(h *hostFacts) { h.BPFFS = true }, "bpffs", OK, "mounted at /sys/fs/bpf"},
		{"no pins", func(*hostFacts) {}, "bpffs", OK, "mount -t bpf bpf /sys/fs/bpf"},
		{"buffer by capability", func(*hostFacts) {}, "socket_buffer", OK, "64 MiB by CAP_NET_ADMIN"},
		{"small buffer", func(h *hostFacts) { h.Held = nil }, "socket_buffer", Warning, "sysctl -w net.core.rmem_max=67108864"},
		{"large buffer", func(h *hostFacts) { h.Held, h.ReceiveMax = nil, "134217728" }, "socket_buffer", OK, "128 MiB"},
		{"buffer in another namespace", func(h *hostFacts) { h.ReceiveMax = "" }, "socket_buffer", OK, "unknown"},
	} {
		facts := soundHost()
		test.change(&facts)
		checkFindings(t, test.name, facts.findings(), test.check, test.status, test.text)
	}
}

// TestReceiveBufferOfContainer: root of a user namespace of its own may not exceed the limit.
func TestReceiveBufferOfContainer(t *testing.T) {
	facts := soundHost()
	facts.Nested = true
	if f := facts.receiveBuffer(); f.Status != Warning {
		t.Errorf("%+v", f)
	}
}

// checkFindings checks one finding in full, and that every other one is ok.
func checkFindings(t *testing.T, name string, findings []Finding, check, status, text string) {
	t.Helper()
	if !slices.ContainsFunc(findings, func(f Finding) bool { return f.Check == check }) {
		t.Errorf("%s: no finding %s", name, check)
	}
	for _, f := range findings {
		switch {
		case f.Check != check:
			if f.Status == Problem && status != Problem {
				t.Errorf("%s: unexpected %+v", name, f)
			}
		case f.Status != status || !strings.Contains(f.Value+"\n"+f.Advice, text):
			t.Errorf("%s: %+v, want %s with %q", name, f, status, text)
		case f.Status != OK && f.Advice == "":
			t.Errorf("%s: %+v has no advice", name, f)
		}
		if strings.Contains(f.Value+f.Advice, "\n") || f.Value == "" || f.Status == "" {
			t.Errorf("%s: %+v is not one line each", name, f)
		}
	}
}

// soundLink is an interface with native and generic XDP.
func soundLink() linkFacts {
	return linkFacts{Name: "eth0", Kind: "device", Driver: "ixgbe", Up: true, MTU: 1500, Queues: 8, Ethernet: true}
}

func TestLinkFindings(t *testing.T) {
	var (
		noNative  = errors.New("native XDP on eth0 is not supported: operation not supported")
		noGeneric = errors.New("generic XDP on eth0 is not supported:\ninvalid argument")
	)
	for _, test := range []struct {
		name          string
		change        func(*linkFacts)
		check, status string
		text          string
		mode, reason  string // of --xdp auto
	}{
		{"sound", func(*linkFacts) {}, "attach_native", OK, "works", control.ModeNative, ""},
		{"driver", func(*linkFacts) {}, "interface", OK, "driver ixgbe", control.ModeNative, ""},
		{"mtu", func(*linkFacts) {}, "mtu", OK, "over 1472 bytes", control.ModeNative, ""},
		{"largest mtu", func(l *linkFacts) { l.MTU = 65536 }, "mtu", OK, "over 9232 bytes", control.ModeNative, ""},
		{"one queue", func(l *linkFacts) { l.Queues = 1 }, "queues", OK, "one CPU at a time", control.ModeNative, ""},
		{"down", func(l *linkFacts) { l.Up = false }, "interface", Warning, "ip link set dev eth0 up", control.ModeNative, ""},
		{
			"vlan", func(l *linkFacts) { l.Kind, l.Parent, l.Native = "vlan", "eth0", noNative },
			"interface", Warning, "--interface eth0", control.ModeGeneric, "native XDP on eth0",
		},
		{"macvlan", func(l *linkFacts) { l.Kind, l.Parent = "macvlan", "eth9" }, "interface", Warning, "--interface eth9", control.ModeNative, ""},
		{"tunnel", func(l *linkFacts) { l.Kind, l.Ethernet = "tuntap", false }, "interface", Warning, "by the plain socket", control.ModeNative, ""},
		{"dummy", func(l *linkFacts) { l.Kind, l.Hollow = "dummy", true }, "interface", Warning, "none passes here", control.ModeNative, ""},
		{"lo", func(l *linkFacts) { l.Kind, l.Hollow, l.Ethernet = "loopback", true, false }, "interface", OK, "only what this host sends to itself", control.ModeNative, ""},
		{
			"generic only", func(l *linkFacts) { l.Native = noNative },
			"attach_native", Warning, "generic XDP works", control.ModeGeneric, "native XDP on eth0 is not supported",
		},
		{
			"neither", func(l *linkFacts) { l.Native, l.Generic = noNative, noGeneric },
			"attach_generic", Problem, "only plain sockets", control.ModeSocket, "generic XDP on eth0 is not supported:; invalid argument",
		},
		{
			"foreign program", func(l *linkFacts) { l.Foreign = &bpf.ForeignProgram{ID: 42, Name: "firewall", Mode: bpf.Native} },
			"programs", Problem, "firewall (id 42, native)", control.ModeSocket, "another XDP program",
		},
		{
			"foreign program without a name", func(l *linkFacts) { l.Foreign = &bpf.ForeignProgram{ID: 42, Mode: bpf.Generic} },
			"programs", Problem, "unnamed (id 42, generic)", control.ModeSocket, "another XDP program",
		},
		{
			"binrepd runs", func(l *linkFacts) { l.Own = true },
			"programs", OK, "binrepd's own", control.ModeNative, "",
		},
	} {
		facts := soundLink()
		test.change(&facts)
		checkFindings(t, test.name, facts.findings(), test.check, test.status, test.text)
		if mode, reason := facts.auto(); mode != test.mode && !facts.Own || !strings.Contains(reason, test.reason) {
			t.Errorf("%s: auto chooses %q because of %q, want %q, %q", test.name, mode, reason, test.mode, test.reason)
		}
	}
}

// TestProblems counts those of the host and those of its interfaces.
func TestProblems(t *testing.T) {
	host, link := soundHost(), soundLink()
	host.JIT, host.Missing = "0", []string{"CAP_BPF"}
	link.Foreign = &bpf.ForeignProgram{ID: 42, Name: "firewall", Mode: bpf.Native}
	r := Report{Findings: host.findings(), Interfaces: []LinkReport{{Interface: "eth0", Findings: link.findings()}}}
	if got := r.Problems(); got != 2 {
		t.Errorf("%d problems, want 2: %+v", got, r)
	}
}

func TestExamineNoInterface(t *testing.T) {
	_, err := Examine(t.Context(), Config{Interfaces: []string{"nosuch0"}})
	if err == nil || !strings.HasPrefix(err.Error(), "interface nosuch0: no such interface") {
		t.Error(err)
	}
}
