package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
	"go.uber.org/goleak"

	"binrepd/userspace/out/resync/opensipstest"
)

// asProgram makes the test binary behave as binrepd itself.
const asProgram = "BINREPD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		_ = os.Unsetenv(asProgram) // binrepd reports variables that it doesn't know
		main()
	}
	if len(os.Args) > 1 && os.Args[1] == opensipstest.Argument {
		os.Exit(opensipstest.Main(os.Args[2:], os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if builtFolder != "" {
			_ = os.RemoveAll(builtFolder)
		}
		os.Exit(status)
	}))
}

// program returns the command that runs binrepd as a process of its own, with nothing of BINREPD_... in its environment
// but what the test adds.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "BINREPD_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	// Under the race detector a process sleeps for a second before it ends, lest a race in another thread goes unreported. Of some
	// hundred processes the daemons are those with threads, and they end in good order or are killed.
	cmd.Env = append(cmd.Env, asProgram+"=1", "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	return cmd
}

// call runs one command line inside the test.
func call(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = run(append([]string{"binrepd"}, args...), &out, &err)
	return status, out.String(), err.String()
}

func TestWrongUsage(t *testing.T) {
	checkUsage(t, []usageTest{
		{"", "which command?"},
		{"walk", `no command "walk": binrepd --help lists them`},
		{"stauts", `no command "stauts", did you mean status? binrepd --help lists them`},
		{"dialogs lits", `no command "lits", did you mean list? binrepd dialogs --help lists them`},
		{"dialogs list --jsno", `no flag --jsno, did you mean --json? See binrepd dialogs list --help`},
		{"help stauts", `did you mean status?`},
		{"help walk", "walk"},
		{"--verbose", "no flag --verbose"},
		{"version please", `no argument "please"`},
		{"doctor", "--interface: say which"},
		{"takeover", "--cluster: say which"},
		{"takeover --cluster 1 --node 2", "--tag: say which"},
		{"takeover --cluster 0 --node 2 --tag vip", "--cluster 0: want a number"},
		{"doctor --json=perhaps", "--json perhaps: neither true nor false"},
		{"--version=perhaps", "--version perhaps: neither true nor false"},
	})
}

// usageTest is a command line that is wrong, and what the error must say.
type usageTest struct{ args, want string }

func checkUsage(t *testing.T, tests []usageTest) {
	t.Helper()
	for _, test := range tests {
		status, stdout, stderr := call(strings.Fields(test.args)...)
		if status != exitUsage {
			t.Errorf("%q: exit status %d, want %d", test.args, status, exitUsage)
		}
		checkError(t, test.args, stderr, test.want)
		if stdout != "" {
			t.Errorf("%q: wrote to standard output: %s", test.args, stdout)
		}
	}
}

// checkError checks that stderr is one line of ours, and says what it must.
func checkError(t *testing.T, args, stderr, want string) {
	t.Helper()
	if !strings.HasPrefix(stderr, "binrepd: ") || strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
		t.Errorf("%q: not one line that begins with binrepd: %q", args, stderr)
	}
	if !strings.Contains(stderr, want) {
		t.Errorf("%q: %q lacks %q", args, stderr, want)
	}
}

// TestProcess sees that the status of run is that of the process.
func TestProcess(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args string
		want int
	}{
		{"version", exitDone},
		{"doctor --interface nosuch0", exitFailed},
		{"walk", exitUsage},
	} {
		cmd := program(t, strings.Fields(test.args)...)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatalf("%s: %v", test.args, err)
		}
		if got := cmd.ProcessState.ExitCode(); got != test.want {
			t.Errorf("%s: exit status %d, want %d\n%s", test.args, got, test.want, out)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, args := range []string{"version", "--version"} {
		status, stdout, stderr := call(args)
		if status != exitDone || stderr != "" {
			t.Errorf("%s: exit status %d, %s", args, status, stderr)
		}
		for _, want := range []string{`(?m)^binrepd \S+`, `(?m)^go      go1\.\d+\S* linux/`, `(?m)^kernel  \d+\.\d+`} {
			if !regexp.MustCompile(want).MatchString(stdout) {
				t.Errorf("%s: %q lacks %s", args, stdout, want)
			}
		}
	}
}

// TestHelp reads the help of every command, and checks that each flag tells what it is for and has its variable.
func TestHelp(t *testing.T) {
	app := newApp(nil, nil)
	var visit func(path []string, commands []*cli.Command)
	visit = func(path []string, commands []*cli.Command) {
		for _, c := range commands {
			here := append(path[:len(path):len(path)], c.Name)
			status, stdout, stderr := call(append(here, "--help")...)
			if status != exitDone || stderr != "" || !strings.Contains(strings.Join(strings.Fields(stdout), " "), c.Usage) {
				t.Errorf("%v --help: exit status %d, %s", here, status, stderr)
			}
			lines(t, bytes.NewBufferString(stdout), 80) // no word is broken at 80 columns (fault 32)
			for _, f := range c.Flags {
				doc, ok := f.(cli.DocGenerationFlag)
				if !ok || doc.GetUsage() == "" || len(doc.GetEnvVars()) != 1 {
					t.Errorf("%v: flag --%s lacks help or its variable", here, f.Names()[0])
				}
				if !strings.Contains(stdout, "--"+f.Names()[0]) {
					t.Errorf("%v --help lacks --%s", here, f.Names()[0])
				}
			}
			visit(here, c.Subcommands)
		}
	}
	visit(nil, app.Commands)
}

func TestFlagsFirst(t *testing.T) {
	commands := []*cli.Command{{
		Name: "dialogs",
		Subcommands: []*cli.Command{{
			Name:  "get",
			Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Aliases: []string{"j"}}, &cli.StringFlag{Name: "control"}},
		}},
	}}
	for _, test := range []struct{ in, want string }{
		{"binrepd", "binrepd"},
		{"binrepd --version", "binrepd --version"},
		{"binrepd dialogs", "binrepd dialogs"},
		{"binrepd dialogs lost --json", "binrepd dialogs lost --json"},
		{"binrepd dialogs get", "binrepd dialogs get"},
		{"binrepd dialogs get a", "binrepd dialogs get -- a"},
		{"binrepd dialogs get a --json", "binrepd dialogs get --json -- a"},
		{"binrepd dialogs get a -j --control p b", "binrepd dialogs get -j --control p -- a b"},
		{"binrepd dialogs get a --control=p b", "binrepd dialogs get --control=p -- a b"},
		{"binrepd dialogs get --json=false a", "binrepd dialogs get --json=false -- a"},
		{"binrepd dialogs get - --json", "binrepd dialogs get --json -- -"},
		{"binrepd dialogs get --json -- --a -b", "binrepd dialogs get --json -- --a -b"},
		{"binrepd dialogs get a --control", "binrepd dialogs get --control -- a"},
	} {
		if got := strings.Join(flagsFirst(commands, strings.Fields(test.in)), " "); got != test.want {
			t.Errorf("%s: %s, want %s", test.in, got, test.want)
		}
	}
}
