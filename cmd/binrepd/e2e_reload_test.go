package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestReload changes the settings of a running daemon by `binrepd reload` and by SIGHUP, which ended it before (fault 12).
func TestReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	settings, allow := filepath.Join(dir, "settings"), filepath.Join(dir, "allow")
	write := func(file string, lines ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const first, second = "127.0.0.1:9", "127.0.0.2:9"
	listen := "BINREPD_LISTEN=" + freePort(t)
	write(settings, listen, "BINREPD_ALLOW_FILE="+allow, "BINREPD_REPLICATE_TO="+first, "BINREPD_LOG_LEVEL=info")
	write(allow, "10.0.0.1")
	d := startDaemon(t, nil, "--xdp", "off", "--settings", settings)
	backups := func() (list []string) {
		for _, dest := range d.status().Destinations {
			list = append(list, dest.Address)
		}
		slices.Sort(list)
		return list
	}
	reload := func() (status int, says string) {
		cmd := program(t, "reload", "--control", d.socket)
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	if got := backups(); !slices.Equal(got, []string{first}) {
		t.Fatalf("backups %v", got)
	}
	if status, says := reload(); status != 0 || says != "nothing has changed\n" {
		t.Errorf("without a change: status %d, %q", status, says)
	}

	write(settings, listen, "BINREPD_ALLOW_FILE="+allow, "BINREPD_REPLICATE_TO="+first+","+second,
		"BINREPD_REPLICATE_RATE="+first+"/500", "BINREPD_LOG_LEVEL=debug")
	write(allow, "10.0.0.1", "10.0.0.2")
	status, says := reload()
	for _, want := range []string{
		"allowed sources: 2 prefixes", "backup " + first + ": new rate or rules", "backup " + second + ": added", "log level: debug",
	} {
		if status != 0 || !strings.Contains(says, want) {
			t.Errorf("status %d, %q, want %q", status, says, want)
		}
	}
	s := d.status()
	if !slices.Equal(s.Allow, []string{"10.0.0.1/32", "10.0.0.2/32"}) || !slices.Equal(backups(), []string{first, second}) {
		t.Errorf("allowed %v, backups %v", s.Allow, backups())
	}
	for _, dest := range s.Destinations {
		if want := map[string]int{first: 500, second: 0}[dest.Address]; dest.Rate != want {
			t.Errorf("%s: rate %d, want %d", dest.Address, dest.Rate, want)
		}
	}

	// A wrong setting changes nothing.
	write(settings, listen, "BINREPD_REPLICATE_TO="+second, "BINREPD_LOG_LEVEL=loud")
	if status, says := reload(); status != exitFailed || !strings.Contains(says, "--log-level loud") || !slices.Equal(backups(), []string{first, second}) {
		t.Errorf("a wrong setting: status %d, %q, backups %v", status, says, backups())
	}

	// SIGHUP does the same. What can't change is named.
	write(settings, "BINREPD_LISTEN="+freePort(t), "BINREPD_ALLOW_FILE="+allow, "BINREPD_REPLICATE_TO="+second)
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	d.await("the reload", func() bool { return slices.Equal(backups(), []string{second}) })
	d.await("the line in the log", func() bool { return strings.Contains(d.log.String(), "need_restart=[listen]") })
	if status, says := reload(); status != 0 || !strings.Contains(says, "only a restart puts it into force: --listen") {
		t.Errorf("status %d, %q", status, says)
	}
	d.stop()
}
