package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/wire/bin1/bin1test"
)

// TestOutputToAFullDisk: a command whose output can't be written says so once, and fails (fault 32).
func TestOutputToAFullDisk(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, nil, "--listen", freePort(t), "--xdp", "off")
	conn, err := net.Dial("udp", d.status().Listeners[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	proxy := bin1test.NewProxy(1, bin1test.Realistic(time.Now().Unix(), 1))
	if _, err := conn.Write(proxy.AppendPacket(nil, 0, bin1test.Create)); err != nil {
		t.Fatal(err)
	}
	d.settle(1)
	for _, args := range []string{
		"version", "--version", "--help", "help", "run --help", "dialogs list --help", "status", "status --json", "status --check", "top --once",
		"dialogs list", "dialogs count", "dialogs count --json", "dialogs ghosts", "dialogs ghosts --json", "backups list", "allow list", "bench --help", "reload",
	} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(args)
		if !slices.Contains(words, "--help") && !strings.Contains(args, "version") && args != "help" {
			words = append(words, "--control", d.socket)
		}
		cmd := program(t, words...)
		var errs strings.Builder
		cmd.Stdout, cmd.Stderr = full, &errs
		err = cmd.Run()
		full.Close()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
			t.Errorf("%s: %v, want exit status %d", args, err, exitFailed)
		}
		if text := errs.String(); strings.Count(text, "no space left on device") != 1 || strings.Count(text, "\n") != 1 {
			t.Errorf("%s: not one error: %q", args, text)
		}
	}
}

// TestUnknownVariables: variables BINREPD_... that no flag has are reported, one line each (fault 32).
func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	cmd := program(t, "version")
	cmd.Env = append(cmd.Env, "BINREPD_LISTNE=10.0.0.1:5556", "BINREPD_XYZZY=1", "BINREPD_STATUS_JSON=true", "BINREPD_TAKEOVER_CONF=/x", "BINREPD_A\x1b=1")
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		t.Errorf("%v", err)
	}
	want := "binrepd: warning: no flag has the variable BINREPD_A\\x1b\n" +
		"binrepd: warning: no flag has the variable BINREPD_LISTNE, did you mean BINREPD_LISTEN?\n" +
		"binrepd: warning: no flag has the variable BINREPD_XYZZY\n"
	if errs.String() != want {
		t.Errorf("%q, want %q", errs.String(), want)
	}
}
