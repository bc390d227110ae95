package opensips

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"binrepd/deploy/tooltest"
)

// parameters are those of OpenSIPS 1.11 and 2.1 for the replication of dialogs; "" is the core.
var parameters = map[string][]string{
	"": {"bin_listen", "bin_children", "alias"},
	"dialog": {"accept_replicated_dialogs", "replicate_dialogs_to", "enable_stats", "hash_size", "log_profile_hash_size", "rr_param",
		"default_timeout", "ping_interval", "dlg_extra_hdrs", "dlg_match_mode", "db_mode", "db_url"},
}

var (
	coreLine  = regexp.MustCompile(`^(\w+) = ([\w.:]+)$`)
	paramLine = regexp.MustCompile(`^modparam\("(\w+)", "(\w+)", ("[^"]+"|\d+)\)$`)
)

// TestFragments: every line is a comment or sets an existing parameter, and every address has a port.
func TestFragments(t *testing.T) {
	files, err := filepath.Glob("*.cfg")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	address := regexp.MustCompile(`^"?\d+\.\d+\.\d+\.\d+:\d+"?$`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set := 0
		for i, line := range strings.Split(string(text), "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			var module, name, value string
			if m := coreLine.FindStringSubmatch(line); m != nil {
				name, value = m[1], m[2]
			} else if m := paramLine.FindStringSubmatch(line); m != nil {
				module, name, value = m[1], m[2], m[3]
			} else {
				t.Errorf("%s:%d: %s", file, i+1, line)
				continue
			}
			set++
			if !slices.Contains(parameters[module], name) {
				t.Errorf("%s:%d: %s has no parameter %s", file, i+1, module, name)
			}
			if (name == "bin_listen" || name == "replicate_dialogs_to") && !address.MatchString(value) {
				t.Errorf("%s:%d: %s needs ADDRESS:PORT", file, i+1, name)
			}
		}
		if set < 4 {
			t.Errorf("%s sets %d parameters", file, set)
		}
	}
}

// TestTheStandbyTakesTheRoutesOfTheProxy: the standby has the alias for the socket that its rewrite rule replaces.
func TestTheStandbyTakesTheRoutesOfTheProxy(t *testing.T) {
	text, err := os.ReadFile("standby.cfg")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`--rewrite-socket (\S+)=`).FindSubmatch(text)
	if rule == nil || !strings.Contains(string(text), "\nalias = "+string(rule[1])+"\n") {
		t.Errorf("no alias for %s", rule)
	}
}

func TestScript(t *testing.T) {
	tooltest.Require(t, "bash", "shellcheck")
	tooltest.Run(t, ".", nil, "bash", "-n", "binrepd-takeover")
	tooltest.Run(t, ".", nil, "shellcheck", "binrepd-takeover")
}

// fakes replace the programs that the script calls. Each appends its arguments to the file calls. ssh also appends the
// host, and then does what the file with the host's name says.
var fakes = map[string]string{
	"logger":  `[ -z "${NO_LOGGER:-}" ] || exit 127; if [[ " $* " == *" -- "* ]]; then echo "${*#*-- }" >>"$LOG"; else cat >>"$LOG"; fi`,
	"ssh":     `while [ "$1" = -o ]; do shift 2; done; host=$1; shift; echo "$host: $*" >>"$CALLS"; . "$HOSTS/$host"`,
	"binrepd": `echo "local: binrepd $*" >>"$CALLS"; set -- binrepd "$@"; . "$HOSTS/local"`,
}

// hosts are appliances in various states.
var hosts = map[string]string{
	"ready":  `exit 0`,
	"stale":  `[ "$2" = sync ] || exit 3; echo "sent 100 dialogs"`,
	"losing": `[ "$2" = sync ] || exit 4`,
	"dead":   `echo "connection refused" >&2; exit 255`,
	"breaks": `[ "$2" = sync ] || exit 0; echo "sent 5 of 100" >&2; exit 1`,
	"local":  `exit 0`,
}

// takeOver runs the script with this configuration. It returns its exit status, the calls, and the log.
func takeOver(t *testing.T, configuration string, before func(runtime string)) (status int, calls []string, log string) {
	t.Helper()
	tooltest.Require(t, "bash", "flock")
	dir := t.TempDir()
	path, hostDir := filepath.Join(dir, "bin"), filepath.Join(dir, "hosts")
	write := func(file, text string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, body := range fakes {
		write(filepath.Join(path, name), "#!/bin/bash\n"+body+"\n", 0o755)
	}
	for name, body := range hosts {
		write(filepath.Join(hostDir, name), body+"\n", 0o644)
	}
	conf := filepath.Join(dir, "takeover.conf")
	if configuration != "" {
		write(conf, configuration, 0o644)
	}
	callFile, logFile := filepath.Join(dir, "calls"), filepath.Join(dir, "log")
	write(callFile, "", 0o644)
	write(logFile, "", 0o644)
	if before != nil {
		before(dir)
	}
	cmd := exec.CommandContext(t.Context(), "./binrepd-takeover")
	cmd.Env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"), "BINREPD_TAKEOVER_CONF="+conf, "XDG_RUNTIME_DIR="+dir,
		"CALLS="+callFile, "LOG="+logFile, "HOSTS="+hostDir)
	out, _ := cmd.CombinedOutput()
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return cmd.ProcessState.ExitCode(), strings.Split(strings.TrimSpace(read(callFile)), "\n"), read(logFile) + string(out)
}

func TestTakeOver(t *testing.T) {
	const check, send = "binrepd status --check", "binrepd sync --to 10.0.0.11:5555"
	for _, test := range []struct {
		appliances, more string
		status           int
		calls            []string
		log              string
	}{
		{"ready stale", "", 0, []string{"ready: " + check, "ready: " + send}, "ready has sent everything"},
		{"stale ready", "", 0, []string{"stale: " + check, "stale: " + send}, "sent 100 dialogs"},
		{"dead stale", "", 0, []string{"dead: " + check, "stale: " + check, "stale: " + send}, "dead: connection refused"},
		{"losing stale", "", 0, []string{"losing: " + check, "stale: " + check, "stale: " + send}, "stale has sent everything"},
		{"losing dead", "", 0, []string{"losing: " + check, "dead: " + check, "losing: " + send}, "losing has sent everything"},
		{"breaks ready", "", 0, []string{"breaks: " + check, "breaks: " + send, "ready: " + check, "ready: " + send}, "breaks has not sent everything"},
		{"dead breaks", "", 1, []string{"dead: " + check, "breaks: " + check, "breaks: " + send}, "no appliance has filled"},
		{"local", "", 0, []string{"local: " + check, "local: " + send}, "local has sent everything"},
		{"ready", "FLAGS=(--rate max --rewrite-socket udp:10.0.0.10:5060=udp:10.0.0.11:5060)", 0,
			[]string{"ready: " + check, "ready: " + send + " --rate max --rewrite-socket udp:10.0.0.10:5060=udp:10.0.0.11:5060"}, ""},
	} {
		t.Run(test.appliances, func(t *testing.T) {
			configuration := fmt.Sprintf("APPLIANCES=%q\nSTANDBY=10.0.0.11:5555\n%s\n", test.appliances, test.more)
			status, calls, log := takeOver(t, configuration, nil)
			if status != test.status || !slices.Equal(calls, test.calls) || !strings.Contains(log, test.log) {
				t.Errorf("status %d, want %d; calls %q, want %q; log:\n%s", status, test.status, calls, test.calls, log)
			}
		})
	}
}

// TestTakeOverOfTag: in a cluster the appliance moves the tag, with the calls.
func TestTakeOverOfTag(t *testing.T) {
	status, calls, log := takeOver(t, "APPLIANCES=ready\nCLUSTER=1\nNODE=2\nTAG=vip\nMI=http://10.0.0.12:8888/mi\nFLAGS=(--socket udp:10.0.0.10:5060)\n", nil)
	const want = "ready: binrepd takeover --cluster 1 --node 2 --tag vip --activate --mi http://10.0.0.12:8888/mi --socket udp:10.0.0.10:5060"
	if status != 0 || len(calls) != 2 || calls[1] != want || !strings.Contains(log, "node 2 of cluster 1") {
		t.Errorf("status %d, calls %q, log:\n%s", status, calls, log)
	}
}

// TestTakeOverWithoutLogger: a missing logger is no failed sync (fault 12).
func TestTakeOverWithoutLogger(t *testing.T) {
	t.Setenv("NO_LOGGER", "1")
	status, calls, log := takeOver(t, "APPLIANCES=\"stale ready\"\nSTANDBY=10.0.0.11:5555\n", nil)
	if status != 0 || len(calls) != 2 || !strings.Contains(log, "sent 100 dialogs") || !strings.Contains(log, "stale has sent everything") {
		t.Errorf("status %d, calls %q, log:\n%s", status, calls, log)
	}
	if status, _, _ := takeOver(t, "APPLIANCES=breaks\nSTANDBY=10.0.0.11:5555\n", nil); status != 1 {
		t.Errorf("a failed sync without a logger: status %d, want 1", status)
	}
}

func TestTakeOverSettings(t *testing.T) {
	for _, configuration := range []string{"", "STANDBY=10.0.0.11:5555\n", "APPLIANCES=ready\n", "APPLIANCES=ready\nCLUSTER=1\nNODE=2\nTAG=vip\n",
		"APPLIANCES=ready\nCLUSTER=1\nNODE=2\nTAG=vip\nMI=http://h/mi\nSTANDBY=10.0.0.11:5555\n"} {
		if status, calls, log := takeOver(t, configuration, nil); status != 2 || len(calls[0]) > 0 || !strings.Contains(log, "takeover.conf") {
			t.Errorf("%q: status %d, calls %q, log %s", configuration, status, calls, log)
		}
	}
}

// TestOneAtATime: while one instance runs, another does nothing.
func TestOneAtATime(t *testing.T) {
	status, calls, log := takeOver(t, "APPLIANCES=ready\nSTANDBY=10.0.0.11:5555\n", func(runtime string) {
		hold := exec.CommandContext(t.Context(), "flock", filepath.Join(runtime, "binrepd-takeover.lock"), "sh", "-c", "echo held; exec sleep 60")
		out, err := hold.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := hold.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = hold.Process.Kill(); _ = hold.Wait() })
		if _, err := out.Read(make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	})
	if status != 0 || calls[0] != "" || !strings.Contains(log, "is already running") {
		t.Errorf("status %d, calls %q, log %s", status, calls, log)
	}
}
