package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"binrepd/bpf/bpftest"
	"binrepd/dialog"
	"binrepd/userspace/appliance/appliancetest"
	"binrepd/userspace/out/resync/opensipstest"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

const (
	proxySocket   = "udp:192.0.2.10:5060" // of the simulated proxies
	standbySocket = "udp:10.98.0.2:5060"
)

// startModel starts a model of an OpenSIPS as a process.
func startModel(t *testing.T, ns *bpftest.Namespace, listen string, args ...string) *opensipstest.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var p *opensipstest.Process
	start := func() (err error) {
		p, err = opensipstest.Start(self, append([]string{"-listen", listen, "-sockets", standbySocket,
			// Room for all that a test sends: a standstill of a busy test machine is not what is tested. The pace is TestPace's.
			"-buffer", "268435456"}, args...)...)
		return err
	}
	if ns != nil {
		ns.Do(start)
	} else if err := start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("model: %v", err)
		}
	})
	return p
}

// fill gives an appliance n dialogs.
func fill(t *testing.T, d *daemon, conn net.Conn, proxy *bin1test.Proxy, n int) {
	t.Helper()
	var packet []byte
	d.feed(conn, 0, uint64(n), func(i uint64) []byte {
		packet = proxy.AppendPacket(packet[:0], i, bin1test.Confirm)
		return packet
	})
}

// TestSyncToOpenSIPS syncs 20,000 dialogs, five seconds at the default rate, to a model of an OpenSIPS that handles 8,000 packets
// a second and refuses sockets that are not its own, while calls go on. The long form syncs 100,000.
func TestSyncToOpenSIPS(t *testing.T) {
	t.Parallel()
	dialogs := 4000
	if appliancetest.Chaos() {
		dialogs = 100_000
	}
	listen := freePort(t)
	d := startDaemon(t, nil, "--xdp", "off", "--listen", listen)
	conn, err := net.Dial("udp4", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(4, bin1test.Realistic(nowUnix(), 500))
	fill(t, d, conn, proxy, dialogs)

	model := startModel(t, nil, "127.0.0.1:0", "-rate", "8000")
	done := make(chan control.SyncSummary, 1)
	go func() {
		done <- syncJSON(t, d, "--to", model.Address, "--passes", "1", "--rewrite-socket", proxySocket+"="+standbySocket)
	}()
	// Calls begin, and calls that were there from the start end, until most of the table is sent: all of that must be at the
	// standby in the end.
	live := bin1test.NewProxy(5, bin1test.Realistic(nowUnix(), 300))
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	var packet []byte
	for call := uint64(0); ; call += 10 {
		<-pace.C
		packet = live.Next(packet[:0])
		_, err := conn.Write(packet)
		packet = proxy.AppendPacket(packet[:0], call%uint64(dialogs), bin1test.Delete)
		_, err2 := conn.Write(packet)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if call%1000 != 0 {
			continue
		}
		if s := d.status().Syncs; len(s) == 1 && s[0].Visited > s[0].Total*8/10 {
			break
		}
	}
	if summary := <-done; summary.Changes == 0 || summary.Passes != 1 {
		t.Errorf("summary: %+v", summary)
	}
	compareWithModel(t, d, model)
}

// compareWithModel compares by key. The standby must have every dialog.
func compareWithModel(t *testing.T, d *daemon, model *opensipstest.Process) {
	t.Helper()
	compareWithin(t, d, model, func(uint64) int { return 0 })
}

// compareWithin compares by key. may tells how many dialogs may be absent from the standby, by the number of packets that it
// received.
func compareWithin(t *testing.T, d *daemon, model *opensipstest.Process, may func(received uint64) int) {
	t.Helper()
	want := map[string]bool{}
	if err := d.client.Dialogs(context.Background(), control.Filter{}, func(line []byte) error {
		var one control.Dialog
		err := json.Unmarshal(line, &one)
		want[fmt.Sprint(one.CallID, one.CallerTag, one.Callees[0].Tag)] = true
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var report opensipstest.Report
	extra, lacking := 0, 0
	defer func() {
		t.Logf("standby: %d dialogs, %d missing, %d too many; %+v", len(report.Live), lacking, extra, report.Statistics)
	}()
	d.await("the standby to handle what it was sent", func() bool {
		var err error
		if report, err = model.Report(); err != nil {
			t.Fatal(err)
		}
		extra, lacking = 0, len(want)
		for _, l := range report.Live {
			if want[fmt.Sprint(l.CallID, l.FromTag, l.ToTag)] {
				lacking--
			} else {
				extra++
			}
		}
		counts := report.Statistics
		missing := may(uint64(counts.CreateReceived) + uint64(counts.UpdateReceived) + uint64(counts.DeleteReceived))
		return lacking <= missing && extra <= missing
	})
	if report.Faults != (opensipstest.Faults{}) {
		t.Errorf("faults of the standby: %+v", report.Faults)
	}
	for _, l := range report.Live {
		if l.CallerSocket != standbySocket || l.CalleeSocket != standbySocket || l.State != dialog.Confirmed && l.State != dialog.Answered {
			t.Fatalf("dialog %s: sockets %s and %s, state %s", l.CallID, l.CallerSocket, l.CalleeSocket, l.State)
		}
	}
}

// TestSyncOverALossyPath: of 5,000 dialogs over a path that loses a share p of the packets, two passes leave about p² missing. The
// path loses 2 %, and the standby's socket more where the machine is busy, so that the share is measured.
func TestSyncOverALossyPath(t *testing.T) {
	t.Parallel()
	world := newChain(t)
	d := world.startFirst(t, "--xdp", "off")
	conn := dial(t, world.proxy, proxyAddr+":5555", listenAt)
	proxy := bin1test.NewProxy(6, bin1test.Realistic(nowUnix(), 1))
	const dialogs = 5000
	fill(t, d, conn, proxy, dialogs)
	loseOneIn(t, world.backup, "bin0", 50)
	model := startModel(t, world.backup, backupAt)
	s := syncJSON(t, d, "--to", backupAt, "--rewrite-socket", proxySocket+"="+standbySocket)
	if s.Passes != 2 || s.Dialogs != dialogs || s.Packets != 2*dialogs || s.Unmatched != 0 {
		t.Errorf("summary: %+v", s)
	}
	compareWithin(t, d, model, func(received uint64) int {
		lost := 1 - float64(received)/(2*dialogs)
		return int(2*lost*lost*dialogs) + 8 // twice what chance leaves, and a few more for its variance
	})
}

// loseOneIn makes an interface drop one frame in n, chosen by chance. Not every kernel has netem.
func loseOneIn(t *testing.T, ns *bpftest.Namespace, name string, n int32) {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "lossy", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{
			asm.FnGetPrandomU32.Call(),
			asm.Mod.Imm(asm.R0, n),
			asm.JEq.Imm(asm.R0, 0, "drop"),
			asm.Mov.Imm(asm.R0, 2 /* XDP_PASS */),
			asm.Return(),
			asm.Mov.Imm(asm.R0, 1 /* XDP_DROP */).WithSymbol("drop"),
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	index := ns.Index(name)
	ns.Do(func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: index, Flags: link.XDPGenericMode})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
}

func TestSyncFailures(t *testing.T) {
	t.Parallel()
	listen := freePort(t)
	d := startDaemon(t, nil, "--xdp", "off", "--listen", listen)
	conn, err := net.Dial("udp4", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(6, bin1test.Realistic(nowUnix(), 1))
	fill(t, d, conn, proxy, 1000)
	for _, test := range []struct {
		args   string
		status int
		want   string
	}{
		{"--to " + freePort(t), exitFailed, "nobody answers"},
		{"--to nosuch.invalid:5556", exitFailed, "nosuch.invalid"},
		{"--to 10.0.0.3", exitUsage, "not HOST:PORT"},
		{"", exitUsage, "--to"},
		{"--to 127.0.0.1:9 --rate fast", exitUsage, "--rate fast"},
		{"--to 127.0.0.1:9 --replace --rate max", exitUsage, "--replace with --rate max"},
		{"--to " + listen + " --replace", exitFailed, "is an address of this appliance itself"},
		{"--to 127.0.0.1:9 --passes 0", exitUsage, "--passes 0"},
		{"--to 127.0.0.1:9 --rewrite-socket udp:1.2.3.4:5060", exitUsage, "--rewrite-socket"},
		{"--to 127.0.0.1:9 --state ringing", exitUsage, "ringing"},
	} {
		_, errs, status := command(t, nil, append([]string{"sync", "--control", d.socket}, strings.Fields(test.args)...)...)
		lines := strings.Split(strings.TrimSpace(errs), "\n")
		if status != test.status || len(lines) != 1 || !strings.Contains(lines[0], test.want) {
			t.Errorf("sync %s: status %d, want %d; printed %q, want %q", test.args, status, test.status, errs, test.want)
		}
	}

	// A client that is cut off in the middle leaves nothing running.
	sink, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	client := program(t, "sync", "--control", d.socket, "--to", sink.LocalAddr().String(), "--rate", "10")
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	d.await("the sync to show in status", func() bool { return len(d.status().Syncs) == 1 })
	if err := client.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = client.Wait()
	d.await("the sync to end with its client", func() bool { return len(d.status().Syncs) == 0 })

	// Ctrl-C says how far it came.
	client = program(t, "sync", "--control", d.socket, "--to", sink.LocalAddr().String(), "--rate", "100")
	var errs lockedBuffer
	client.Stderr = &errs
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	d.await("packets", func() bool { s := d.status().Syncs; return len(s) == 1 && s[0].Packets > 10 })
	if err := client.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = client.Wait()
	if !strings.Contains(errs.String(), "stopped: ") || client.ProcessState.ExitCode() != exitFailed {
		t.Errorf("status %d, printed %q", client.ProcessState.ExitCode(), errs.String())
	}
	d.stop()
}

func syncJSON(t *testing.T, d *daemon, args ...string) control.SyncSummary {
	t.Helper()
	out, errs, status := command(t, nil, append([]string{"sync", "--json", "--control", d.socket}, args...)...)
	var s control.SyncSummary
	if err := json.Unmarshal([]byte(out), &s); err != nil || status != exitDone || !s.Complete {
		t.Fatalf("sync: status %d, printed %s%s, error %v", status, out, errs, err)
	}
	return s
}
