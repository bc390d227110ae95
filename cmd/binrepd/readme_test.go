package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"binrepd/userspace/wire/bin1/bin1test"
)

// The tests in this file run what the README shows, word for word, in namespaces that have its addresses.

// commandLines returns the lines of the blocks of a page, without the comments behind them: indented by four spaces, or between fences.
// Blocks of which the first line begins with "$ " show what is printed; of them only the lines behind "$ " are returned.
func commandLines(page string) []string {
	var lines []string
	fenced, output, inBlock := false, false, false
	for line := range strings.SplitSeq(page, "\n") {
		if strings.HasPrefix(line, "```") {
			fenced, inBlock, output = !fenced, false, false
			continue
		}
		text, indented := strings.CutPrefix(line, "    ")
		if !fenced && !indented {
			if strings.TrimSpace(line) != "" { // an empty line doesn't end a block
				inBlock, output = false, false
			}
			continue
		}
		if fenced {
			text = line
		}
		if !inBlock {
			inBlock, output = true, strings.HasPrefix(text, "$ ")
		}
		shown, isCommand := strings.CutPrefix(text, "$ ")
		if output && !isCommand {
			continue
		}
		text, _, _ = strings.Cut(shown, " # ")
		if text = strings.TrimSpace(text); text != "" {
			lines = append(lines, text)
		}
	}
	return lines
}

func TestCommandLines(t *testing.T) {
	page := "text\n\n    make all\n\n    sudo x --y       # why\n\ntext\n\n    $ shown a\n    output\n\n    # said\n\n    $ shown b\n\ntext\n```\nfenced c\n```\nend\n"
	want := []string{"make all", "sudo x --y", "shown a", "shown b", "fenced c"}
	if got := commandLines(page); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// otherwise are the lines of the README that aren't run as they are, and what is tested instead.
var otherwise = map[string]func(*testing.T){
	// It takes a minute and needs the program built at its place; CI runs it.
	"make demo": func(t *testing.T) {
		if !strings.Contains(document(t, ".ci", "run"), "\nmake demo\n") {
			t.Error("CI doesn't run the demo")
		}
	},
	"make demo KEEP=1": func(t *testing.T) {
		if !strings.Contains(document(t, "Makefile"), "$(if $(KEEP),-keep)") {
			t.Error("the Makefile doesn't know KEEP")
		}
	},
	"make test": func(t *testing.T) {
		if !strings.Contains(document(t, ".ci", "run"), "\nmake test ") {
			t.Error("CI doesn't run the tests")
		}
	},
	// The tests of clusters have model nodes: TestClusterCommands and those beside it.
	"binrepd run --cluster 1 --node 3 --cluster-listen bin:10.0.0.3:5566 --cluster-peer 1=bin:10.0.0.1:5566": func(t *testing.T) {
		if !strings.Contains(document(t, "deploy", "opensips", "README.md"),
			"--cluster 1 --node 3 --cluster-listen bin:10.0.0.3:5566 --cluster-peer 1=bin:10.0.0.1:5566") {
			t.Error("deploy/opensips doesn't explain this line")
		}
	},
	"binrepd cluster list": inClusterTest(`"list":`),
	"binrepd cluster sync": inClusterTest(`"sync":`),
	// Those of a proxy's management interface have a stand-in: TestColdStartAndAudit.
	"sudo binrepd import --mi http://10.0.0.1:8888/mi": inAuditTest(`run("import")`),
	"sudo binrepd audit --mi http://10.0.0.1:8888/mi":  inAuditTest(`run("audit")`),
	// With model nodes, too.
	"binrepd sync --cluster 1 --node 1": inClusterTest(`"sync", "--cluster", "1", "--node", "1"`),
	// Not into this system.
	"make build && sudo make install": func(t *testing.T) {
		root := t.TempDir()
		makeInstall(t, root)
		for _, file := range []string{"bin/binrepd", "share/man/man8/binrepd.8", "share/bash-completion/completions/binrepd"} {
			if _, err := os.Stat(filepath.Join(root, "usr/local", file)); err != nil {
				t.Error(err)
			}
		}
	},
	// Not run here without an OpenSIPS: the fragment for proxies has the same line.
	`bin_listen = 10.0.0.1:5555`: inFragment(`(?m)^bin_listen = [\d.]+:5555$`),
	`modparam("dialog", "replicate_dialogs_to", "10.0.0.2:5556")`: inFragment(
		`(?m)^modparam\("dialog", "replicate_dialogs_to", "10\.0\.0\.2:5556"\)$`),
	// What the demo prints, with the traffic that it makes up.
	"binrepd status":                 inDemo(`{"status"}`),
	"binrepd dialogs list --limit 3": inDemo(`{"dialogs", "list", "--limit", "3"}`),
	"binrepd dialogs count":          inDemo(`{"dialogs", "count"}`),
}

// inAuditTest checks that the test of audits has a line.
func inAuditTest(line string) func(*testing.T) {
	return func(t *testing.T) {
		if !strings.Contains(document(t, "cmd", "binrepd", "e2e_audit_test.go"), line) {
			t.Errorf("the test of audits lacks %s", line)
		}
	}
}

func inFragment(line string) func(*testing.T) {
	return func(t *testing.T) {
		if !regexp.MustCompile(line).MatchString(document(t, "deploy", "opensips", "primary.cfg")) {
			t.Errorf("deploy/opensips/primary.cfg has no line %s", line)
		}
	}
}

func inClusterTest(arguments string) func(*testing.T) {
	return func(t *testing.T) {
		if !strings.Contains(document(t, "cmd", "binrepd", "e2e_cluster_test.go"), arguments) {
			t.Errorf("TestClusterCommands doesn't run %s", arguments)
		}
	}
}

func inDemo(arguments string) func(*testing.T) {
	return func(t *testing.T) {
		if !strings.Contains(document(t, "deploy", "demo", "main.go")+document(t, "deploy", "demo", "cluster.go"), arguments) {
			t.Errorf("the demo doesn't show %s", arguments)
		}
	}
}

// batch is how commands of the README are run that would ask for a terminal.
var batch = map[string]string{"top": "top --once"}

// printed are the commands of the README of which more is known than that they end with 0.
var printed = map[string]string{
	"dialogs count --from alice": `^0\n$`, // of the callers made up here nobody has that name
	"dialogs get CALLID --json":  `"CALLEES"`,
	"status --check":             `^READY\n$`,
	"top":                        `READY`,
	"sync --to 10.0.0.3:5556":    `50 dialogs`,
	// What the run with --record before has left: the calls of the proxy are the same every time.
	"record call CALLID --record /var/lib/binrepd/record":                       `(?m)^\S+ \S+ [+-]\d\d:\d\d +10\.0\.0\.1:5555 +10\.0\.0\.2:5556 +create `,
	"replay /var/lib/binrepd/record --to 10.0.0.3:5556 --speed 10 --shift-time": `^\d{2,} datagrams sent to 10\.0\.0\.3:5556: `,
}

// TestReadme runs every command that the README shows. One that is new there is run, too, or fails here until it is told how it is tested
// instead.
func TestReadme(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	var runs, commands []string
	for _, line := range commandLines(document(t, "README.md")) {
		if check := otherwise[line]; check != nil {
			used[line] = true
			t.Run(line, check)
			continue
		}
		args, isOurs := strings.CutPrefix(strings.TrimPrefix(line, "sudo "), "binrepd ")
		switch {
		case !isOurs:
			t.Errorf("the README shows %q: say here how it is tested", line)
		case strings.HasPrefix(args, "run "):
			runs = append(runs, args)
		default:
			commands = append(commands, args)
		}
	}
	for line := range otherwise {
		if !used[line] {
			t.Errorf("the README doesn't show %q any more", line)
		}
	}
	for args := range printed {
		if !slices.Contains(commands, args) {
			t.Errorf("the README doesn't show binrepd %q any more", args)
		}
	}
	if len(runs) < 3 || len(commands) < 10 {
		t.Fatalf("%d times run, %d other commands were found", len(runs), len(commands))
	}

	w := newReadmeWorld(t)
	for _, args := range runs {
		t.Run(args, func(t *testing.T) {
			d := w.start(t, args)
			w.feed(t, d)
			d.stop()
			w.unpin(t, args)
		})
	}
	d := w.start(t, runs[0])
	w.feed(t, d)
	for _, args := range commands {
		t.Run(args, func(t *testing.T) {
			line := args
			if batch[args] != "" {
				line = batch[args]
			}
			out, stderr, status := w.command(t, line)
			if status != exitDone || !regexp.MustCompile(printed[args]).MatchString(out+stderr) {
				t.Errorf("status %d, want %q:\n%s%s", status, printed[args], out, stderr)
			}
			if strings.HasSuffix(args, " --json") && !json.Valid([]byte(out)) {
				t.Errorf("not JSON: %s", out)
			}
		})
	}
	d.stop()
}

// callID returns one of the calls of the README's proxy.
func callID(t *testing.T, d *daemon) string {
	t.Helper()
	listed := d.listed()
	if len(listed) == 0 {
		t.Fatal("no calls")
	}
	return listed[0].CallID
}

// readmeCalls is how many calls the README's proxy has.
const readmeCalls = 50

func newReadmeProxy() *bin1test.Proxy {
	return bin1test.NewProxy(3, bin1test.Options{Now: nowUnix(), Calls: readmeCalls})
}
