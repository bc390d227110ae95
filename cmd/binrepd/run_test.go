package main

import (
	"strings"
	"testing"
)

func TestRunWrongUsage(t *testing.T) {
	const listen = "--listen=127.0.0.1:5556"
	checkUsage(t, []usageTest{
		{"run", "--listen: say where packets come to"},
		{"run --ringz 3", "no flag --ringz, did you mean --rings?"},
		{"run --bogus", "no flag --bogus: see binrepd run --help"}, // there is nothing like it
		{"run -v", "no flag -v: see binrepd run --help"},
		{"help nope", `no command "nope": binrepd --help lists them`},
		{"run --rings", "--rings needs a value"},
		{"run --rings many " + listen, "--rings many: not a whole number"},
		{"run --rings 0 " + listen, "--rings 0: choose 1 to 16"},
		{"run --tombstone 60 " + listen, "--tombstone 60: not a duration; write it with its unit"},
		{"run --shards 0 " + listen, "--shards 0"},
		{"run --ring-size big " + listen, "--ring-size big: not a size"},
		{"run --ring-size 100MiB " + listen, "--ring-size"},
		{"run --listen here", "--listen here: not ADDRESS:PORT"},
		{"run --log-level loud " + listen, "--log-level loud: choose"},
		{"run " + listen + " now", `takes no argument "now"`},
	})
}

func TestRunFailures(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"run --listen 127.0.0.1:5556 --interface nosuch0", "--interface nosuch0: no such interface; this host has lo"},
		// 192.0.2.0/24 is for documentation (RFC 5737).
		{"run --listen 192.0.2.77:5556", "--listen 192.0.2.77:5556: no interface of this host has that address"},
	} {
		status, _, stderr := call(strings.Fields(test.args)...)
		if status != exitFailed {
			t.Errorf("%q: exit status %d, want %d", test.args, status, exitFailed)
		}
		checkError(t, test.args, stderr, test.want)
	}
}

func TestRunWrongVariable(t *testing.T) {
	t.Setenv("BINREPD_RINGS", "few")
	status, _, stderr := call("run", "--listen", "127.0.0.1:5556")
	if status != exitUsage {
		t.Errorf("exit status %d, want %d", status, exitUsage)
	}
	checkError(t, "BINREPD_RINGS=few run", stderr, "BINREPD_RINGS=few: not a whole number")
}
