package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"binrepd/bpf/bpftest"
	"binrepd/userspace/watch/control"
)

// TestSurvivalFlags refuses what can't be meant, and folders that won't do.
func TestSurvivalFlags(t *testing.T) {
	ordinary := t.TempDir()
	file := filepath.Join(ordinary, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"run", "--listen", "127.0.0.1:5556", "--pin", "pins"}, exitUsage, "whole path"},
		{[]string{"run", "--listen", "127.0.0.1:5556", "--pin", "/sys/fs/bpf/a.b"}, exitUsage, "no dots"},
		{[]string{"run", "--listen", "127.0.0.1:5556", "--save-interval", "1ms"}, exitUsage, "at least"},
		{[]string{"run", "--listen", "127.0.0.1:5556", "--ring-size", "1MiB", "--pin", ordinary}, exitFailed, "mount -t bpf bpf /sys/fs/bpf"},
		{[]string{"run", "--listen", freePort(t), "--xdp", "off", "--state-dir", file}, exitFailed, "--state-dir"},
		{[]string{"unpin"}, exitUsage, "pin"},
		{[]string{"unpin", "--pin", ordinary}, exitFailed, "mount -t bpf"},
	} {
		var out, errs bytes.Buffer
		if got := run(append([]string{"binrepd"}, test.args...), &out, &errs); got != test.status || !strings.Contains(errs.String(), test.want) {
			t.Errorf("%v: exit status %d, want %d; says %q, want %q", test.args, got, test.status, errs.String(), test.want)
		}
	}
}

// TestPinWithoutXDP: the settings of a host with XDP serve one without, which says so and touches no folder.
func TestPinWithoutXDP(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "pins")
	d := startDaemon(t, nil, "--xdp", "off", "--listen", freePort(t), "--pin", folder)
	if d.status().Pin != nil {
		t.Error("status tells of a pin")
	}
	if n := strings.Count(d.log.String(), "--pin has no effect"); n != 1 {
		t.Errorf("it is said %d times", n)
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("the folder was made")
	}
	d.stop()
}

// TestSurvivalRows are what status says to people.
func TestSurvivalRows(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, test := range []struct {
		status control.Status
		want   string
	}{
		{control.Status{}, ""},
		{control.Status{Pin: &control.PinStatus{Dir: "/p"}}, "pinned /p"},
		{control.Status{Pin: &control.PinStatus{Dir: "/p", Adopted: true, Waited: 7, Unsaved: 3}},
			"pinned /p; took over 7 waiting events, lost at most 3 that were not saved"},
		{control.Status{Pin: &control.PinStatus{Dir: "/p", Adopted: true, Waited: 7, Overflowed: 4}},
			"pinned /p; took over 7 waiting events, lost at most 0 that were not saved and 4 that found the rings full"},
		{control.Status{Pin: &control.PinStatus{Dir: "/p", Reason: "it has 2 rings"}}, "pinned /p; replaced what was there: it has 2 rings; lost an unknown number of events that waited"},
		{control.Status{Pin: &control.PinStatus{Dir: "/p", Reason: "it has 2 rings", Discarded: new(uint64)}},
			"pinned /p; replaced what was there: it has 2 rings; lost 0 events that waited"},
		{control.Status{State: &control.StateStatus{Dir: "/s"}}, "saved state /s: not saved yet"},
		{control.Status{Started: now, State: &control.StateStatus{
			Dir: "/s", Saved: now.Add(-5 * time.Second), SavedDialogs: 9, SavedBytes: 2048, SaveSeconds: 0.5, Error: "no space left on device",
			Restored: now.Add(-time.Minute), RestoredDialogs: 8, Damaged: "it is cut off",
		}}, "saved state /s: 9 dialogs saved 5s ago, 2.0 KiB in 0.5 s; FAILING: no space left on device; restored 8, then 1m0s old; passed over: it is cut off"},
		{control.Status{Privileges: &control.PrivilegeStatus{}}, "privileges none kept"},
		{control.Status{Privileges: &control.PrivilegeStatus{Kept: []control.KeptCapability{{Name: "CAP_A"}, {Name: "CAP_B"}}}}, "privileges kept CAP_A, CAP_B"},
		{control.Status{Privileges: &control.PrivilegeStatus{Reason: "why"}}, "privileges not dropped: why"},
	} {
		var out bytes.Buffer
		if err := printStatus(sheet{out: &out}, &test.status, now); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, line := range strings.Split(out.String(), "\n") {
			for _, name := range []string{"pinned", "saved state", "privileges"} {
				if rest, ok := strings.CutPrefix(line, name+"  "); ok {
					got = append(got, name+" "+strings.TrimSpace(rest))
				}
			}
		}
		if strings.Join(got, "|") != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// TestPinReplaced starts with other rings than those that are pinned: it says that it replaces them and how many events
// waited in them, and works. With --xdp off, nothing stays attached.
func TestPinReplaced(t *testing.T) {
	t.Parallel()
	bpftest.RequireKernel(t)
	p := newPair(t)
	pins, states := filepath.Join(bpftest.FileSystem(t), "pins"), t.TempDir()
	d := survivor(t, p, "", pins, states, "--ring-size", "1MiB")
	if out, err := program(t, "unpin", "--pin", pins).CombinedOutput(); err == nil || !strings.Contains(string(out), "another binrepd") {
		t.Errorf("unpin while in use: %v, %s", err, out)
	}
	d.kill()
	conn := dial(t, p.proxy, proxyAddr+":5555", listenAt)
	for range 2 {
		if _, err := conn.Write([]byte("P4CK no packet at all, but taken")); err != nil {
			t.Fatal(err)
		}
	}
	d = survivor(t, p, "", pins, states, "--ring-size", "2MiB")
	st := d.status()
	if st.Pin.Adopted || !strings.Contains(st.Pin.Reason, "bytes") || !strings.Contains(d.log.String(), "will be replaced") ||
		st.Pin.Discarded == nil || *st.Pin.Discarded != 2 {
		t.Errorf("%+v", st.Pin)
	}
	if _, err := conn.Write([]byte("P4CK no packet at all, but counted")); err != nil {
		t.Fatal(err)
	}
	if st := d.settle(1); st.Listeners[0].Steered != 1 {
		t.Errorf("%+v", st.Listeners)
	}
	d.kill()
	d = survivor(t, p, "", pins, states, "--xdp", "off")
	if _, err := conn.Write([]byte("P4CK no packet at all, but counted")); err != nil {
		t.Fatal(err)
	}
	if st := d.settle(1); st.Listeners[0].Socket != 1 || p.appliance.Attached("bin0") {
		t.Errorf("--xdp off: %+v", st.Listeners)
	}
	d.stop()
}

// TestUnpinReadsTheVariableOfRun: both mean the same folder.
func TestUnpinReadsTheVariableOfRun(t *testing.T) {
	t.Setenv("BINREPD_PIN", "/nowhere/binrepd")
	var out, errs strings.Builder
	if err := newApp(&out, &errs).Run([]string{"binrepd", "unpin"}); err == nil || !strings.Contains(err.Error(), "/nowhere/binrepd") {
		t.Errorf("%v", err)
	}
}
