package main

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
)

// examineIn is examine for one interface of a namespace.
func examineIn(t *testing.T, ns *bpftest.Namespace, name string) linkReport {
	t.Helper()
	var r report
	ns.Do(func() (err error) {
		r, err = examine(t.Context(), []string{name}, t.TempDir()+"/none", defaultStall)
		return err
	})
	if r.OK != (r.problems() == 0) || len(r.Interfaces) != 1 || r.Interfaces[0].Interface != name {
		t.Fatalf("%+v", r)
	}
	return r.Interfaces[0]
}

func TestDoctorTriesXDP(t *testing.T) {
	ns := bpftest.NewNamespace(t)
	bpftest.Veth(1500, bpftest.End{In: ns, Name: "near"}, bpftest.End{In: ns, Name: "far"})

	got := examineIn(t, ns, "near")
	if got.Mode != modeNative || got.Reason != "" {
		t.Errorf("veth: auto chooses %s, %s", got.Mode, got.Reason)
	}
	checkFindings(t, "veth", got.Findings, "attach_native", findingOK, "works")
	checkFindings(t, "veth", got.Findings, "attach_generic", findingOK, "works")
	checkFindings(t, "veth", got.Findings, "interface", findingOK, "veth")

	got = examineIn(t, ns, "lo")
	if got.Mode != modeGeneric || got.Reason == "" {
		t.Errorf("lo: auto chooses %s, %s", got.Mode, got.Reason)
	}
	checkFindings(t, "lo", got.Findings, "attach_native", findingWarning, "generic XDP works")

	for _, name := range []string{"near", "lo"} {
		if attached(t, ns, name) {
			t.Errorf("%s is left with a program", name)
		}
	}
}

func TestDoctorFindsPrograms(t *testing.T) {
	ns := bpftest.NewNamespace(t)
	remove := attachFirewall(t, ns, "lo")
	got := examineIn(t, ns, "lo")
	if got.Mode != modeSocket {
		t.Errorf("foreign program: auto chooses %s, %s", got.Mode, got.Reason)
	}
	checkFindings(t, "foreign program", got.Findings, "programs", findingProblem, "firewall")
	if !attached(t, ns, "lo") {
		t.Error("the foreign program is gone")
	}
	remove()

	program, err := bpf.Load(bpf.Config{Rings: 1, RingSize: smallestRing()})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	lo := ns.Index("lo")
	ns.Do(func() error {
		a, err := program.Attach(lo, bpf.Generic)
		if err == nil {
			t.Cleanup(func() { a.Close() })
		}
		return err
	})
	got = examineIn(t, ns, "lo")
	checkFindings(t, "binrepd runs", got.Findings, "programs", findingOK, "binrepd's own")
}

// attachFirewall attaches a program of somebody else's, which lets everything pass, and returns what removes it.
func attachFirewall(t *testing.T, ns *bpftest.Namespace, name string) (remove func()) {
	t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "firewall", Type: ebpf.XDP, License: "Apache-2.0",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2 /* XDP_PASS */), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close() // the link keeps it
	index := ns.Index(name)
	var l link.Link
	ns.Do(func() (err error) {
		l, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: index, Flags: link.XDPGenericMode})
		return err
	})
	t.Cleanup(func() { l.Close() })
	return func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// attached tells whether there is an XDP program on the interface.
func attached(t *testing.T, ns *bpftest.Namespace, name string) (yes bool) {
	t.Helper()
	ns.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err == nil && l.Attrs().Xdp != nil {
			yes = l.Attrs().Xdp.Attached
		}
		return err
	})
	return yes
}
