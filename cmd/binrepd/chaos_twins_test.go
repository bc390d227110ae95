package main

import (
	"path/filepath"
	"strings"
	"testing"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestTwoOnOneInterface starts a second appliance beside one that runs, in every way in which they can collide: it ends with one line that
// says with whom, or leaves XDP to the first, and the first loses nothing.
func TestTwoOnOneInterface(t *testing.T) {
	t.Parallel()
	p := newWidePair(t)
	fs := bpftest.FileSystem(t)
	pins, states := filepath.Join(fs, "first"), t.TempDir()
	first := survivor(t, p, "", pins, states, "--ring-size", "1MiB")
	id := xdpOf(p.appliance, "bin0")
	conn := dial(t, p.proxy, proxyAddr+":5555", listenAt)
	proxy := bin1test.NewProxy(61, bin1test.Realistic(nowUnix(), 40))
	sent := uint64(0)
	play := func() {
		t.Helper()
		for range 100 {
			if _, err := conn.Write(proxy.Next(nil)); err != nil {
				t.Fatal(err)
			}
		}
		sent += 100
		if s := first.settle(sent); s.Listeners[0].Steered != sent || s.Mode != control.ModeNative {
			t.Fatalf("mode %s, %d of %d through XDP", s.Mode, s.Listeners[0].Steered, sent)
		}
	}
	play()
	const other = ourAddr + ":5557"
	collisions := 0
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"address", []string{"--listen", listenAt, "--xdp", "off"}, "in use"},
		{"interface", []string{"--listen", other, "--xdp", "native"}, "bin0"},
		{"interface, generic", []string{"--listen", other, "--xdp", "generic"}, "bin0"},
		{"interface, pinned elsewhere", []string{"--listen", other, "--xdp", "native", "--pin", filepath.Join(fs, "second")}, "bin0"},
		{"pins", []string{"--listen", other, "--xdp", "native", "--pin", pins}, "another binrepd"},
		{"state", []string{"--listen", other, "--xdp", "off", "--state-dir", states}, "another binrepd"},
		{"control socket", []string{"--listen", other, "--xdp", "off", "--control", first.socket}, "another binrepd"},
	} {
		second := launch(t, p.appliance, append(c.args, "--interface", "bin0", "--ring-size", "1MiB", "--rings", "2")...)
		second.waited = true
		err := second.cmd.Wait()
		lines := strings.Split(strings.TrimSpace(second.log.String()), "\n")
		last := lines[len(lines)-1]
		if err == nil || second.cmd.ProcessState.ExitCode() != exitFailed || !strings.HasPrefix(last, "binrepd: ") || !strings.Contains(last, c.want) {
			t.Errorf("%s: %v, %q", c.name, err, lines)
		}
		if now := xdpOf(p.appliance, "bin0"); now != id {
			t.Fatalf("%s: the program was %d and is %d", c.name, id, now)
		}
		play()
		collisions++
	}
	// Left to choose, it does without XDP, and says why.
	second := startDaemon(t, p.appliance, "--listen", other, "--interface", "bin0", "--xdp", "auto", "--ring-size", "1MiB")
	if s := second.status(); s.Mode != control.ModeSocket || !strings.Contains(s.FallbackReason, "bin0") {
		t.Errorf("mode %s, %q", s.Mode, s.FallbackReason)
	}
	play()
	second.stop()
	play()
	if diff := bin1test.DiffListed(first.listed(), listedOf(proxy)); len(diff) > 0 {
		t.Errorf("%d differences, first: %s", len(diff), diff[0])
	}
	t.Logf("%d collisions, each with one line; of %d events to the first none was lost", collisions+1, sent)
	first.stop()
	checkUnpin(t, p, pins)
}
