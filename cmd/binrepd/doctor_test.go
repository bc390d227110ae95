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

	"binrepd/bpf/bpftest"
	"binrepd/userspace/in/thread"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/doctor"
	"binrepd/userspace/watch/tuning"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestPrintReport prints a finding of each status.
func TestPrintReport(t *testing.T) {
	r := doctor.Report{
		Findings: []doctor.Finding{
			{Check: "kernel", Status: doctor.OK, Value: "6.1.0-28-amd64"},
			{Check: "jit", Status: doctor.Warning, Value: "off", Advice: "turn it on"},
		},
		Interfaces: []doctor.LinkReport{{
			Interface: "eth0", Mode: control.ModeSocket, Reason: "another XDP program is attached",
			Findings: []doctor.Finding{{Check: "programs", Status: doctor.Problem, Value: "firewall (id 42, native)", Advice: "end its owner"}},
		}},
	}
	var text strings.Builder
	if err := printReport(&text, &r); err != nil {
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

// TestDoctorLo examines the loopback. There is a report whatever privileges this process has, and the exit status fits it.
func TestDoctorLo(t *testing.T) {
	status, stdout, stderr := call("doctor", "--interface", "lo", "--json")
	var r doctor.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	if len(r.Interfaces) != 1 || r.Interfaces[0].Interface != "lo" || len(r.Interfaces[0].Findings) < 4 {
		t.Errorf("%+v", r)
	}
	if r.OK != (r.Problems() == 0) || r.OK != (status == exitDone) {
		t.Errorf("exit status %d with ok %t and %d problems", status, r.OK, r.Problems())
	}
	if !r.OK {
		checkError(t, "doctor", stderr, "must be fixed first")
	}
}

func TestDoctorStall(t *testing.T) {
	for _, text := range []string{"0s", "-1s", "2m"} {
		checkUsage(t, []usageTest{{"doctor --interface lo --stall " + text, "--stall"}})
	}
}

// TestDoctorJudgesRings asks an appliance whose rings are too small for a stall of a minute.
func TestDoctorJudgesRings(t *testing.T) {
	t.Parallel()
	p := pair{proxy: bpftest.NewNamespace(t), appliance: bpftest.NewNamespace(t)}
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
	var r doctor.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != exitDone {
		t.Fatalf("status %d, %v: %s%s", status, err, out, stderr)
	}
	checkFinding(t, &r, "appliance", doctor.OK, fmt.Sprintf("process %d runs", d.cmd.Process.Pid))
	ring := checkFinding(t, &r, "ring_size", doctor.Warning, "should hold 1m0s: run --ring-size ")
	if v := ring.Value; !strings.HasPrefix(v, "2 of 256 KiB, at most ") || strings.Contains(v, "at most 0 %") {
		t.Errorf("rings: %s", v)
	}
	if cpus, err := thread.Allowed(); err == nil && len(cpus) > 1 {
		if pinned := tuning.ReadPinned(os.DirFS("/"), d.cmd.Process.Pid); !slices.Equal(pinned, []int{0}) {
			t.Errorf("consumers are bound to %v", pinned)
		}
	}
	d.stop()
}

// checkFinding checks one finding about the host, and returns it.
func checkFinding(t *testing.T, r *doctor.Report, check, status, text string) doctor.Finding {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Check == check })
	if i < 0 {
		t.Fatalf("no finding %s: %+v", check, r.Findings)
	}
	f := r.Findings[i]
	if f.Status != status || !strings.Contains(f.Value+"\n"+f.Advice, text) {
		t.Errorf("%+v, want %s with %q", f, status, text)
	}
	return f
}
