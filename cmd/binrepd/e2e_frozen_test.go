package main

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestFrozenDaemon stops the daemon by SIGSTOP. Every command that asks it fails with exit status 1 and names the
// process, instead of waiting for ever (fault 17).
func TestFrozenDaemon(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, nil, "--listen", freePort(t), "--xdp", "off")
	pid := d.cmd.Process.Pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Error(err)
		}
		d.stop()
	}()
	var commands sync.WaitGroup
	for _, line := range []string{
		"status", "status --check", "status --json", "top --once", "dialogs list", "dialogs get x", "dialogs count", "dialogs ghosts",
		"allow list", "allow add 10.0.0.1", "sync --to 127.0.0.1:9", "save /nonexistent/x", "load /nonexistent/x",
	} {
		commands.Go(func() {
			cmd := program(t, append(strings.Fields(line), "--control", d.socket)...)
			out, err := cmd.CombinedOutput()
			if err == nil || cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(out), fmt.Sprintf("process %d doesn't answer", pid)) {
				t.Errorf("%s: %v, says %q", line, err, out)
			}
		})
	}
	commands.Wait()
}
