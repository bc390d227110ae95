package doctor

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/userspace/watch/control"
)

// examineIn examines one interface of a namespace.
func examineIn(t *testing.T, ns *bpftest.Namespace, name string) LinkReport {
	t.Helper()
	var r Report
	ns.Do(func() (err error) {
		r, err = Examine(t.Context(), Config{Interfaces: []string{name}, Control: t.TempDir() + "/none", Stall: DefaultStall})
		return err
	})
	if r.OK != (r.Problems() == 0) || len(r.Interfaces) != 1 || r.Interfaces[0].Interface != name {
		t.Fatalf("%+v", r)
	}
	return r.Interfaces[0]
}

func TestExamineTriesXDP(t *testing.T) {
	ns := bpftest.NewNamespace(t)
	bpftest.Veth(1500, bpftest.End{In: ns, Name: "near"}, bpftest.End{In: ns, Name: "far"})

	got := examineIn(t, ns, "near")
	if got.Mode != control.ModeNative || got.Reason != "" {
		t.Errorf("veth: auto chooses %s, %s", got.Mode, got.Reason)
	}
	checkFindings(t, "veth", got.Findings, "attach_native", OK, "works")
	checkFindings(t, "veth", got.Findings, "attach_generic", OK, "works")
	checkFindings(t, "veth", got.Findings, "interface", OK, "veth")

	got = examineIn(t, ns, "lo")
	if got.Mode != control.ModeGeneric || got.Reason == "" {
		t.Errorf("lo: auto chooses %s, %s", got.Mode, got.Reason)
	}
	checkFindings(t, "lo", got.Findings, "attach_native", Warning, "generic XDP works")

	for _, name := range []string{"near", "lo"} {
		if ns.Attached(name) {
			t.Errorf("%s is left with a program", name)
		}
	}
}

func TestExamineFindsPrograms(t *testing.T) {
	ns := bpftest.NewNamespace(t)
	remove := attachFirewall(t, ns, "lo")
	got := examineIn(t, ns, "lo")
	if got.Mode != control.ModeSocket {
		t.Errorf("foreign program: auto chooses %s, %s", got.Mode, got.Reason)
	}
	checkFindings(t, "foreign program", got.Findings, "programs", Problem, "firewall")
	if !ns.Attached("lo") {
		t.Error("the foreign program is gone")
	}
	remove()

	program, err := bpf.Load(bpf.Config{Rings: 1, RingSize: bpf.LeastRingSize()})
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
	checkFindings(t, "binrepd runs", got.Findings, "programs", OK, "binrepd's own")
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
