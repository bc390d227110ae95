package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"binrepd/deploy/reference"
	"binrepd/userspace/appliance"
)

var updateReference = flag.Bool("update", false, "write the files of deploy/reference instead of comparing them")

// choices are the words that flags take. TestChoices tries each.
func choices() reference.Choices {
	return reference.Choices{
		"xdp":        {appliance.XDPAuto, appliance.XDPNative, appliance.XDPGeneric, appliance.XDPOff},
		"log-level":  {"debug", "info", "warn", "error"},
		"log-format": {logText, logJSON},
		"state":      {"unconfirmed", "early", "answered", "confirmed", "live", "all"},
	}
}

// TestReferenceIsFresh: the manual page, completions and /etc/default/binrepd are those of the flags.
func TestReferenceIsFresh(t *testing.T) {
	folder := filepath.Join(moduleRoot(t), "deploy", "reference")
	for _, f := range reference.Files(newApp(io.Discard, io.Discard), choices()) {
		file := filepath.Join(folder, f.Name)
		if *updateReference {
			if err := os.WriteFile(file, f.Text, 0o644); err != nil {
				t.Error(err)
			}
			continue
		}
		committed, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(committed, f.Text) {
			t.Errorf("deploy/reference/%s is not that of the flags: run `make reference` and commit the result", f.Name)
		}
	}
}

// TestChoices: every word is in the usage of its flag, and is accepted; another one is refused.
func TestChoices(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	try := func(c *cli.Command, name, usage string, args ...string) {
		used[name] = true
		for _, word := range choices()[name] {
			if !strings.Contains(usage, word) {
				t.Errorf("%s --%s: the usage doesn't say %q: %s", c.Name, name, word, usage)
			}
			// Whatever fails, it is not the word.
			if _, _, stderr := call(append(args, "--"+name, word)...); strings.Contains(stderr, "--"+name) {
				t.Errorf("%s --%s %s: %s", c.Name, name, word, stderr)
			}
		}
		if status, _, stderr := call(append(args, "--"+name, "nonsense")...); status != exitUsage || !strings.Contains(stderr, "--"+name) {
			t.Errorf("%s --%s nonsense: status %d, %s", c.Name, name, status, stderr)
		}
	}
	// The others go through the same functions.
	missing := filepath.Join(t.TempDir(), "missing")
	arguments := map[string][]string{
		"run": {"run", "--listen", "[2001:db8::1]:9", "--interface", "missing"}, "count": {"dialogs", "count", "--control", missing},
	}
	for _, c := range []*cli.Command{runCommand(), dialogsCommand().Subcommands[2]} {
		for _, f := range c.Flags {
			if doc, ok := f.(cli.DocGenerationFlag); ok && len(choices()[f.Names()[0]]) > 0 {
				try(c, f.Names()[0], doc.GetUsage(), arguments[c.Name]...)
			}
		}
	}
	for name := range choices() {
		if !used[name] {
			t.Errorf("--%s was not tried", name)
		}
	}
}

// TestDefaultsFile: /etc/default/binrepd has every flag of run, and the values in it are the defaults: to remove the comment sign from
// all that have a value changes nothing.
func TestDefaultsFile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), "deploy", "reference", "binrepd.default"))
	if err != nil {
		t.Fatal(err)
	}
	plain := parsed(t)
	var names []string
	for line := range strings.SplitSeq(string(text), "\n") {
		name, value, found := strings.Cut(strings.TrimPrefix(line, "#"), "=")
		if !strings.HasPrefix(line, "#BINREPD_") || !found {
			if line != "" && !strings.HasPrefix(line, "# ") && line != "#" && !strings.HasPrefix(line, "## ") {
				t.Errorf("not a comment: %s", line)
			}
			continue
		}
		names = append(names, name)
		if value != "" {
			t.Setenv(name, value)
		}
	}
	for _, f := range runCommand().Flags {
		nameVariable(f, "")
		if name := f.(cli.DocGenerationFlag).GetEnvVars()[0]; !slices.Contains(names, name) {
			t.Errorf("%s is missing", name)
		}
	}
	got := parsed(t)
	if !got.MetricsRequired {
		t.Error("a metrics address in the file doesn't count as named")
	}
	got.MetricsRequired = plain.MetricsRequired // the one thing that uncommenting a default may change
	if !reflect.DeepEqual(got, plain) {
		t.Errorf("with the values of the file\n%+v, want\n%+v", got, plain)
	}
}

// parsed returns the options of run with the environment as it is and one listen address.
func parsed(t *testing.T) (o options) {
	t.Helper()
	c := runCommand()
	c.Action = func(c *cli.Context) (err error) {
		o, err = parseOptions(c)
		return err
	}
	app := &cli.App{Commands: []*cli.Command{c}, ExitErrHandler: func(*cli.Context, error) {}}
	prepare(app.Commands, "", "binrepd", plainWidth)
	if err := app.Run([]string{"binrepd", "run", "--listen", "10.0.0.2:5556"}); err != nil {
		t.Fatal(err)
	}
	return o
}
