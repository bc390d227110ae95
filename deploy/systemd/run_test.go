package systemd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"binrepd/bpf"
	"binrepd/bpf/bpftest"
	"binrepd/deploy/tooltest"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1/bin1test"
)

// TestRunsAsTheUnitSays: with the unit's capabilities, an unprivileged user and no_new_privs, the program attaches
// natively and packets are applied.
func TestRunsAsTheUnitSays(t *testing.T) {
	p := newPlace(t, build(t))
	capabilities := readUnit(t).words(t, "AmbientCapabilities")
	s := p.newService(t, capabilities)
	p.start(t, s)

	var unit uint64
	for _, c := range capabilities {
		unit |= 1 << capabilityNumbers[c]
	}
	status := processStatus(t, s.Process.Pid)
	for _, set := range []string{"CapEff", "CapPrm", "CapAmb", "CapBnd", "CapInh"} {
		// Fewer are right, too: when it runs, it drops capabilities that it no longer needs.
		if held, err := strconv.ParseUint(status[set], 16, 64); err != nil || held&^unit != 0 {
			t.Errorf("%s %s, %v: more than %x", set, status[set], err, unit)
		}
	}
	owner := fmt.Sprintf("%d\t%[1]d\t%[1]d\t%[1]d", anybody)
	for field, want := range map[string]string{"NoNewPrivs": "1", "Uid": owner, "Gid": owner, "Groups": ""} {
		if got := strings.TrimSpace(status[field]); got != want {
			t.Errorf("%s %s, want %s", field, got, want)
		}
	}
	p.exercise(t, s)
}

// processStatus returns the fields of a process's /proc/PID/status.
func processStatus(t *testing.T, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.SplitSeq(string(text), "\n") {
		name, value, _ := strings.Cut(line, ":\t")
		fields[name] = value
	}
	return fields
}

// TestRestart: packets that come between two processes of the service wait in the pinned rings, and the table is
// restored from disk.
func TestRestart(t *testing.T) {
	p := newPlace(t, build(t))
	capabilities := readUnit(t).words(t, "AmbientCapabilities")
	options := bin1test.Realistic(time.Now().Unix(), 50)
	options.Large = 0 // fragments need a socket, and there is none in between
	proxy := bin1test.NewProxy(1, options)
	for round := range 3 {
		s := p.newService(t, capabilities)
		p.start(t, s)
		client := s.await(t)
		p.send(proxy, 100)
		sent := uint64(100)
		if round > 0 {
			sent += 100 // those that waited
		}
		var st control.Status
		bpftest.Await(t, "the dialogs of the proxy", func() bool {
			var err error
			st, err = client.Status(t.Context())
			// The number of dialogs may also be right by chance before the end.
			return err == nil && st.Sum() == sent && st.Dialogs == uint64(proxy.LiveCount())
		})
		if st.Pin == nil || st.Pin.Adopted != (round > 0) || st.Mode != "xdp-native" {
			t.Fatalf("round %d: mode %s, pin %+v", round, st.Mode, st.Pin)
		}
		if want := uint64(100); round > 0 && st.Pin.Waited != want {
			t.Errorf("round %d: %d packets waited, want %d", round, st.Pin.Waited, want)
		}
		s.stop(t, st.PID)
		p.send(proxy, 100)
	}
	if _, err := bpf.Unpin(p.pins); err != nil {
		t.Error(err)
	}
}

// TestEveryCapabilityIsNeeded: without any one of them there is no native mode, and the user gets a message.
func TestEveryCapabilityIsNeeded(t *testing.T) {
	program := build(t)
	all := readUnit(t).words(t, "AmbientCapabilities")
	for i, without := range all {
		t.Run(without, func(t *testing.T) {
			p := newPlace(t, program)
			s := p.newService(t, slices.Delete(slices.Clone(all), i, i+1))
			p.start(t, s)
			err := s.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(s.log.String(), without) {
				t.Errorf("%v: %s", err, s.log.String())
			}
		})
	}
}

// TestSystemCalls traces the service and compares its system calls with those that the unit allows.
func TestSystemCalls(t *testing.T) {
	tooltest.Require(t, "strace", "systemd-analyze")
	p := newPlace(t, build(t))
	u := readUnit(t)
	trace := filepath.Join(p.dir(t), "trace")
	s := p.newService(t, u.words(t, "AmbientCapabilities"), "strace", "-f", "-qq", "-o", trace)
	p.start(t, s)
	p.exercise(t, s)

	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	allowed := expand(t, u.words(t, "SystemCallFilter"))
	families := u.words(t, "RestrictAddressFamilies")
	called := map[string]bool{}
	call := regexp.MustCompile(`(?m)^\d+ +(\w+)\((.*)$`)
	for _, m := range call.FindAllStringSubmatch(string(text), -1) {
		name, arguments := m[1], m[2]
		if !called[name] && !slices.Contains(allowed, name) {
			t.Errorf("SystemCallFilter= doesn't allow %s", name)
		}
		called[name] = true
		switch name {
		case "socket":
			if family, _, _ := strings.Cut(arguments, ","); !slices.Contains(families, family) {
				t.Errorf("RestrictAddressFamilies= doesn't allow %s", family)
			}
		case "mmap", "mprotect":
			if strings.Contains(arguments, "PROT_WRITE|PROT_EXEC") {
				t.Errorf("MemoryDenyWriteExecute= doesn't allow %s(%s", name, arguments)
			}
		case "openat":
			// ProtectSystem=strict allows writing below its own folder and to devices.
			writes := strings.Contains(arguments, "O_WRONLY") || strings.Contains(arguments, "O_RDWR") || strings.Contains(arguments, "O_CREAT")
			ours := strings.Contains(arguments, filepath.Dir(s.control)) || strings.Contains(arguments, p.state) || strings.Contains(arguments, p.pins)
			if writes && !ours && !strings.Contains(arguments, `"/dev/null"`) {
				t.Errorf("ProtectSystem= doesn't allow openat(%s", arguments)
			}
		}
	}
	for _, expected := range [...]string{"bpf", "socket", "mmap", "epoll_wait", "openat"} {
		if !called[expected] && !called[strings.Replace(expected, "wait", "pwait", 1)] {
			t.Errorf("the trace has no %s: it is not one of the service", expected)
		}
	}
	t.Logf("%d different calls, %d allowed", len(called), len(allowed))
}

// expand returns the names of the system calls of a filter. It asks systemd for the contents of groups.
func expand(t *testing.T, filter []string) []string {
	t.Helper()
	groups := map[string][]string{}
	group := ""
	for line := range strings.SplitSeq(tooltest.Run(t, ".", nil, "systemd-analyze", "syscall-filter", "--no-pager"), "\n") {
		word := strings.TrimSpace(line)
		switch {
		case word == "" || strings.HasPrefix(word, "#"):
		case word == line:
			group = word
		default:
			groups[group] = append(groups[group], word)
		}
	}
	var names []string
	var add func(word string)
	add = func(word string) {
		if !strings.HasPrefix(word, "@") {
			names = append(names, word)
			return
		}
		if len(groups[word]) == 0 {
			t.Fatalf("systemd knows no group %s", word)
		}
		for _, w := range groups[word] {
			add(w)
		}
	}
	add("@default") // always allowed
	for _, word := range filter {
		add(word)
	}
	return names
}
