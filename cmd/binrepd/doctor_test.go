package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
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
		{"sound", func(*hostFacts) {}, "kernel", findingOK, "6.1.0-28-amd64"},
		{"kernel too old", func(h *hostFacts) { h.Release = "5.15.0-91-generic" }, "kernel", findingProblem, "5.18 or later"},
		{"oldest good kernel", func(h *hostFacts) { h.Release = "5.18.0" }, "kernel", findingOK, "5.18.0"},
		{"strange kernel", func(h *hostFacts) { h.Release = "mine" }, "kernel", findingWarning, "can't be read"},
		{"no BTF", func(h *hostFacts) { h.BTF = false }, "btf", findingWarning, "CONFIG_DEBUG_INFO_BTF"},
		{"interpreter", func(h *hostFacts) { h.JIT = "0" }, "jit", findingWarning, "sysctl -w net.core.bpf_jit_enable=1"},
		{"debug JIT", func(h *hostFacts) { h.JIT = "2" }, "jit", findingWarning, "sysctl -w net.core.bpf_jit_enable=1"},
		{"JIT in another namespace", func(h *hostFacts) { h.JIT = "" }, "jit", findingOK, "unknown"},
		{"missing capability", func(h *hostFacts) { h.Held, h.Missing = nil, []string{"CAP_BPF"} }, "capabilities", findingProblem, "grant CAP_BPF"},
		{"rootless container", func(h *hostFacts) { h.Nested = true }, "capabilities", findingProblem, "user namespace"},
		{"BPF for all", func(h *hostFacts) { h.UnprivilegedBPF = "0" }, "unprivileged_bpf", findingOK, "kernel.unprivileged_bpf_disabled=2"},
		{"lockdown", func(h *hostFacts) { h.Lockdown = "none [integrity] confidentiality" }, "lockdown", findingOK, "integrity; no hindrance"},
		{"no lockdown", func(*hostFacts) {}, "lockdown", findingOK, "none"},
		{"no such module", func(h *hostFacts) { h.Lockdown = "" }, "lockdown", findingOK, "not in this kernel"},
		{"pins", func(h *hostFacts) { h.BPFFS = true }, "bpffs", findingOK, "mounted at /sys/fs/bpf"},
		{"no pins", func(*hostFacts) {}, "bpffs", findingOK, "mount -t bpf bpf /sys/fs/bpf"},
		{"buffer by capability", func(*hostFacts) {}, "socket_buffer", findingOK, "64 MiB by CAP_NET_ADMIN"},
		{"small buffer", func(h *hostFacts) { h.Held = nil }, "socket_buffer", findingWarning, "sysctl -w net.core.rmem_max=67108864"},
		{"large buffer", func(h *hostFacts) { h.Held, h.ReceiveMax = nil, "134217728" }, "socket_buffer", findingOK, "128 MiB"},
		{"buffer in another namespace", func(h *hostFacts) { h.ReceiveMax = "" }, "socket_buffer", findingOK, "unknown"},
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
	if f := facts.receiveBuffer(); f.Status != findingWarning {
		t.Errorf("%+v", f)
	}
}

// checkFindings checks one finding in full, and that every other one is ok.
func checkFindings(t *testing.T, name string, findings []finding, check, status, text string) {
	t.Helper()
	if !slices.ContainsFunc(findings, func(f finding) bool { return f.Check == check }) {
		t.Errorf("%s: no finding %s", name, check)
	}
	for _, f := range findings {
		switch {
		case f.Check != check:
			if f.Status == findingProblem && status != findingProblem {
				t.Errorf("%s: unexpected %+v", name, f)
			}
		case f.Status != status || !strings.Contains(f.Value+"\n"+f.Advice, text):
			t.Errorf("%s: %+v, want %s with %q", name, f, status, text)
		case f.Status != findingOK && f.Advice == "":
			t.Errorf("%s: %+v has no advice", name, f)
		}
		if strings.Contains(f.Value+f.Advice, "\n") || f.Value == "" || f.Status == "" {
			t.Errorf("%s: %+v is not one line each", name, f)
		}
	}
}

// soundLink is an interface with native and generic XDP.
func soundLink() linkFacts {
	return linkFacts{Name: "eth0", Kind: "device", Driver: "ixgbe", Up: true, MTU: 1500, Queues: 8}
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
		{"sound", func(*linkFacts) {}, "attach_native", findingOK, "works", modeNative, ""},
		{"driver", func(*linkFacts) {}, "interface", findingOK, "driver ixgbe", modeNative, ""},
		{"mtu", func(*linkFacts) {}, "mtu", findingOK, "over 1472 bytes", modeNative, ""},
		{"largest mtu", func(l *linkFacts) { l.MTU = 65536 }, "mtu", findingOK, "over 9232 bytes", modeNative, ""},
		{"one queue", func(l *linkFacts) { l.Queues = 1 }, "queues", findingOK, "one CPU at a time", modeNative, ""},
		{"down", func(l *linkFacts) { l.Up = false }, "interface", findingWarning, "ip link set dev eth0 up", modeNative, ""},
		{
			"vlan", func(l *linkFacts) { l.Kind, l.Parent, l.Native = "vlan", "eth0", noNative },
			"interface", findingWarning, "--interface eth0", modeGeneric, "native XDP on eth0",
		},
		{
			"generic only", func(l *linkFacts) { l.Native = noNative },
			"attach_native", findingWarning, "generic XDP works", modeGeneric, "native XDP on eth0 is not supported",
		},
		{
			"neither", func(l *linkFacts) { l.Native, l.Generic = noNative, noGeneric },
			"attach_generic", findingProblem, "only plain sockets", modeSocket, "generic XDP on eth0 is not supported:; invalid argument",
		},
		{
			"foreign program", func(l *linkFacts) { l.Programs = []xdpProgram{{ID: 42, Name: "firewall", Mode: "native"}} },
			"programs", findingProblem, "firewall (id 42, native)", modeSocket, "another XDP program",
		},
		{
			"foreign program without a name", func(l *linkFacts) { l.Programs = []xdpProgram{{ID: 42, Mode: "generic"}} },
			"programs", findingProblem, "unnamed (id 42, generic)", modeSocket, "another XDP program",
		},
		{
			"binrepd runs", func(l *linkFacts) { l.Busy = true },
			"programs", findingOK, "binrepd's own", modeNative, "",
		},
	} {
		facts := soundLink()
		test.change(&facts)
		checkFindings(t, test.name, facts.findings(), test.check, test.status, test.text)
		if mode, reason := facts.auto(); mode != test.mode && !facts.Busy || !strings.Contains(reason, test.reason) {
			t.Errorf("%s: auto chooses %q because of %q, want %q, %q", test.name, mode, reason, test.mode, test.reason)
		}
	}
}

func TestReport(t *testing.T) {
	host, link := soundHost(), soundLink()
	host.JIT = "0"
	link.Programs = []xdpProgram{{ID: 42, Name: "firewall", Mode: "native"}}
	mode, reason := link.auto()
	r := report{
		Findings:   host.findings(),
		Interfaces: []linkReport{{Interface: "eth0", Mode: mode, Reason: reason, Findings: link.findings()}},
	}
	if got := r.problems(); got != 1 {
		t.Errorf("%d problems, want 1", got)
	}
	var text strings.Builder
	if err := r.print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"host\n", "\neth0\n", "  ok       kernel ", "  warning  jit ", "  problem  programs ", "\n           ",
		"  --xdp auto would choose socket: another XDP program is attached\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("lacks %q:\n%s", want, text.String())
		}
	}
}

func TestDoctorNoInterface(t *testing.T) {
	status, _, stderr := call("doctor", "--interface", "nosuch0")
	if status != exitFailed {
		t.Errorf("exit status %d, want %d", status, exitFailed)
	}
	checkError(t, "doctor", stderr, "--interface nosuch0: no such interface")
}

// TestDoctorLo examines the loopback: whatever this process may do, there is a report, and its status fits.
func TestDoctorLo(t *testing.T) {
	status, stdout, stderr := call("doctor", "--interface", "lo", "--json")
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	if len(r.Interfaces) != 1 || r.Interfaces[0].Interface != "lo" || len(r.Interfaces[0].Findings) < 4 {
		t.Errorf("%+v", r)
	}
	if r.OK != (r.problems() == 0) || r.OK != (status == exitDone) {
		t.Errorf("exit status %d with ok %t and %d problems", status, r.OK, r.problems())
	}
	if !r.OK {
		checkError(t, "doctor", stderr, "must be fixed first")
	}
}
