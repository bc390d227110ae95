package main

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

// chain is a proxy, an appliance, and a backup behind it, each in a namespace.
type chain struct {
	pair
	backup *bpftest.Namespace
}

const (
	ourBackAddr = "10.98.0.1" // the appliance's address towards the backup
	backupAddr  = "10.98.0.2"
	backupAt    = backupAddr + ":5556"
)

func newChain(t *testing.T) chain {
	c := chain{pair: newPair(t), backup: bpftest.NewNamespace(t)}
	bpftest.Veth(1500,
		bpftest.End{In: c.appliance, Name: "back0", Addresses: []netip.Prefix{netip.MustParsePrefix(ourBackAddr + "/24")}},
		bpftest.End{In: c.backup, Name: "bin0", Addresses: []netip.Prefix{netip.MustParsePrefix(backupAddr + "/24")}})
	return c
}

func (c chain) startFirst(t *testing.T, args ...string) *daemon {
	return startDaemon(t, c.appliance, append([]string{
		"--listen", listenAt, "--listen", ourBackAddr + ":5556", "--ring-size", "1MiB", "--rings", "2",
	}, args...)...)
}

// sameDialogs compares what two appliances list.
func sameDialogs(t *testing.T, got, want *daemon) {
	t.Helper()
	if diff := bin1test.DiffListed(got.listed(), want.listed()); len(diff) > 0 {
		t.Errorf("%d differences, first: %s", len(diff), diff[0])
	}
}

// command runs a command of the program in ns, or outside if that is nil, and returns what it printed and its exit status.
func command(t *testing.T, ns *bpftest.Namespace, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := program(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := cmd.Start
	if ns != nil {
		start = func() error { ns.Do(cmd.Start); return nil }
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// TestFanOutAndResyncOfCaptures plays a capture at an appliance that has a backup; in the middle the backup is killed, and
// made whole again by a sync.
func TestFanOutAndResyncOfCaptures(t *testing.T) {
	t.Parallel()
	bpftest.RequireKernel(t)
	for _, c := range bin1test.Captures(t) {
		t.Run(c.Name, func(t *testing.T) {
			world := newChain(t)
			second := startDaemon(t, world.backup, "--listen", backupAt, "--ring-size", "1MiB")
			first := world.startFirst(t, "--replicate-to", backupAt)
			w := newWire(t, world.proxy, "proxy0", hardwareAddr(world.appliance, "bin0"))
			half := len(c.Frames) / 2
			w.play(first, c.Frames[:half])
			first.await("the first half to be handed on", func() bool {
				s := first.status()
				d := s.Destinations[0]
				return s.Sum() == s.Seen && s.Seen > 0 && d.Sent == s.CreateSent+s.UpdateSent+s.DeleteSent && d.Queued == 0
			})
			sent := first.status().Destinations[0].Sent
			s := second.settle(sent)
			if len(s.Sources) != 1 || s.Sources[0].Address != ourBackAddr+":5556" {
				t.Errorf("the backup's sources: %+v", s.Sources)
			}
			sameDialogs(t, second, first)

			second.kill()
			w.play(first, c.Frames[half:])
			verify(t, first, c)
			again := startDaemon(t, world.backup, "--listen", backupAt, "--ring-size", "1MiB")
			summary := syncJSON(t, first, "--to", backupAt, "--rate", "max")
			if summary.Dialogs != uint64(len(c.Expected)) {
				t.Errorf("sync sent %d dialogs, want %d", summary.Dialogs, len(c.Expected))
			}
			again.await("the sync to arrive", func() bool { s := again.status(); return s.Seen >= summary.Packets && s.Sum() == s.Seen })
			for _, line := range bin1test.DiffListed(again.listed(), c.Expected) {
				t.Error(line)
			}
			again.stop()
			first.stop()
		})
	}
}

// TestAppliancesThatPointAtEachOther: an event goes round once and no further.
func TestAppliancesThatPointAtEachOther(t *testing.T) {
	t.Parallel()
	ring, ports := appliancesInRing(t)
	conn, err := net.Dial("udp4", ports[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(2, bin1test.Realistic(nowUnix(), 20))
	const packets = 100
	for range packets {
		if _, err := conn.Write(proxy.Next(nil)); err != nil {
			t.Fatal(err)
		}
	}
	// Two hops. The last appliance knows that the first one took them in.
	ring[0].settle(packets)
	ring[1].settle(packets)
	ring[2].settle(packets)
	if s := ring[2].status(); s.Destinations[0].Own != packets || s.Destinations[0].Sent != 0 {
		t.Errorf("the last sent %+v", s.Destinations[0])
	}
	for _, d := range ring[1:] {
		sameDialogs(t, d, ring[0])
	}
	for _, d := range ring {
		d.stop()
	}
}

func TestStatusCheck(t *testing.T) {
	t.Parallel()
	listen := freePort(t)
	d := startDaemon(t, nil, "--xdp", "off", "--listen", listen, "--stale-after", "1s")
	check := func() (string, int) {
		out, _, status := command(t, nil, "status", "--check", "--control", d.socket)
		return strings.TrimSpace(out), status
	}
	if word, status := check(); !strings.HasPrefix(word, "IDLE") || status != 0 {
		t.Errorf("%s, status %d", word, status)
	}
	conn, err := net.Dial("udp4", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(1, bin1test.Options{Now: nowUnix()})
	for call := range uint64(engine.CountsFrom) {
		if _, err := conn.Write(proxy.AppendPacket(nil, call, bin1test.Create)); err != nil {
			t.Fatal(err)
		}
	}
	d.await("the source to become stale", func() bool { return d.status().Word == control.Stale })
	if word, status := check(); !strings.HasPrefix(word, "STALE: ") || status != 3 {
		t.Errorf("%s, status %d", word, status)
	}
	source := conn.LocalAddr().String()
	sources := func(args ...string) string {
		t.Helper()
		out, errors, status := command(t, nil, append(append([]string{"sources"}, args...), "--control", d.socket)...)
		if status != 0 {
			t.Errorf("sources %v: status %d, %s", args, status, errors)
		}
		return out
	}
	if out := sources("list"); !strings.Contains(out, source) || !strings.Contains(out, "yes") {
		t.Errorf("sources list: %s", out)
	}
	if out := sources("forget", source); strings.Contains(out, source) {
		t.Errorf("sources forget: %s", out)
	}
	if word, status := check(); strings.HasPrefix(word, "STALE") || status != 0 {
		t.Errorf("forgotten: %s, status %d", word, status)
	}
	if out := sources("expect", "192.0.2.99", "--json"); !strings.Contains(out, `"expected":true`) {
		t.Errorf("sources expect: %s", out)
	}
	if word, status := check(); !strings.HasPrefix(word, "STALE: source 192.0.2.99") || status != 3 {
		t.Errorf("expected: %s, status %d", word, status)
	}
	if _, _, status := command(t, nil, "sources", "forget", "192.0.2.77", "--control", d.socket); status == 0 {
		t.Error("forgot a source that was never there")
	}
	d.stop()
	if word, status := check(); word != "" || status != exitFailed {
		t.Errorf("without a daemon: %q, status %d", word, status)
	}
}
