package main

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"binrepd/bpf"
	"binrepd/userspace/out/shield"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// TestOperationsExplainsStatus: every key of status --json, and every reason that may be a key in it, is on the page.
func TestOperationsExplainsStatus(t *testing.T) {
	page := document(t, "docs", "operations.md")
	_, page, found := strings.Cut(page, "## Every counter of status")
	if !found {
		t.Fatal("no such chapter")
	}
	keys := jsonKeys(reflect.TypeFor[control.Status](), nil)
	for v := bin1.Short; v < bin1.Verdicts; v++ {
		keys = append(keys, v.String())
	}
	for v := bin2.BadPacket; v < bin2.Verdicts; v++ {
		keys = append(keys, v.String())
	}
	for r := shield.Passed + 1; r < shield.Reasons; r++ {
		keys = append(keys, r.String())
	}
	for v := range bpf.Verdict(bpf.Verdicts) {
		keys = append(keys, v.String())
	}
	// As input_attach.go and control.NewAccount name them.
	keys = append(keys, "socket_buffer", "truncated", "rate_limited", "denied", "refused_memory", "refused_call", "refused_change", "fenced")
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) < 100 {
		t.Errorf("only %d keys were found", len(keys))
	}
	for _, key := range keys {
		if !strings.Contains(page, "`"+key+"`") {
			t.Errorf("docs/operations.md doesn't explain `%s`", key)
		}
	}
}

// jsonKeys collects the names of the fields in JSON, of a type and all that it is made of.
func jsonKeys(of reflect.Type, keys []string) []string {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return jsonKeys(of.Elem(), keys)
	case reflect.Struct:
		if !strings.HasPrefix(of.PkgPath(), module+"/") {
			return keys // a time
		}
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			if name != "" {
				keys = append(keys, name)
			}
			keys = jsonKeys(field.Type, keys)
		}
	}
	return keys
}

// TestOperationsExplainsProblems: the page lists every problem, with the meaning that the program has for it.
func TestOperationsExplainsProblems(t *testing.T) {
	page := document(t, "docs", "operations.md")
	for _, code := range control.ProblemCodes() {
		if row := "| `" + string(code) + "` | " + code.Meaning() + " |\n"; !strings.Contains(page, row) {
			t.Errorf("docs/operations.md lacks the row %q", row)
		}
	}
}

// TestOperationsLinks: what links within the page point at is there.
func TestOperationsLinks(t *testing.T) {
	page := document(t, "docs", "operations.md")
	anchors := headings(page)
	links := regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(page, -1)
	if len(links) < 10 || len(anchors) < 20 {
		t.Fatalf("%d links, %d headings", len(links), len(anchors))
	}
	for _, m := range links {
		if !slices.Contains(anchors, m[1]) {
			t.Errorf("no heading #%s", m[1])
		}
	}
	if readme := document(t, "README.md"); strings.Contains(readme, "operations.md#restart)") && !slices.Contains(anchors, "restart") {
		t.Error("the README leads to no heading")
	}
}

// TestOperationsKnowsAlerts: each alert of deploy/prometheus has a heading of its name, which its message may point at.
func TestOperationsKnowsAlerts(t *testing.T) {
	anchors := headings(document(t, "docs", "operations.md"))
	files, err := filepath.Glob(filepath.Join(moduleRoot(t), "deploy", "prometheus", "*.rules.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of rules, %v", len(files), err)
	}
	for _, file := range files {
		rules, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		alerts := regexp.MustCompile(`(?m)^ *- alert: (\w+)$`).FindAllSubmatch(rules, -1)
		if len(alerts) < 5 {
			t.Errorf("%d alerts in %s", len(alerts), file)
		}
		for _, m := range alerts {
			if !slices.Contains(anchors, strings.ToLower(string(m[1]))) {
				t.Errorf("docs/operations.md has no heading %s", m[1])
			}
		}
	}
}

// headings returns the anchors of a page's headings, as they are made of them for HTML: lower case, hyphens for spaces.
func headings(page string) (anchors []string) {
	for _, m := range regexp.MustCompile(`(?m)^#{1,6} (.*)$`).FindAllStringSubmatch(page, -1) {
		text := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors = append(anchors, strings.ReplaceAll(text, " ", "-"))
	}
	return anchors
}

// others are the programs of others that the pages of docs show.
var others = []string{"systemctl", "apt-get", "journalctl", "ip", "promtool"}

// setting is a line of a unit or a formula, and so no command.
var setting = regexp.MustCompile(`^\[\w+\]$|^\w+=\S+$| = `)

// TestDocsCommandsExist: every command line of ours in docs and deploy has only flags that there are. The README's are run (TestReadme).
func TestDocsCommandsExist(t *testing.T) {
	app := newApp(io.Discard, io.Discard)
	shown := 0
	for _, f := range repository(t) {
		if !f.is(".md") || f.path == "README.md" {
			continue
		}
		text := string(f.text)
		for _, line := range commandLines(text) {
			words := strings.Fields(strings.TrimPrefix(line, "sudo "))
			if words[0] != "binrepd" {
				if f.path == "docs/operations.md" && !slices.Contains(others, words[0]) && !setting.MatchString(line) {
					t.Errorf("%s shows %q: whose program is that?", f.path, line)
				}
				continue
			}
			shown++
			if problem := unknown(app, words); problem != "" {
				t.Errorf("%s shows %q: %s", f.path, line, problem)
			}
		}
		// In the text, too.
		for _, m := range regexp.MustCompile("`(binrepd [^`]*)`").FindAllStringSubmatch(text, -1) {
			shown++
			if problem := unknown(app, strings.Fields(m[1])); problem != "" {
				t.Errorf("%s says %q: %s", f.path, m[1], problem)
			}
		}
	}
	if shown < 20 {
		t.Errorf("only %d command lines were found", shown)
	}
}

// unknown says what of a command line there isn't: the command or a flag. "" if all of it is.
func unknown(app *cli.App, words []string) string {
	commands, flags := app.Commands, app.Flags
	for _, word := range words[1:] {
		if name, isFlag := strings.CutPrefix(word, "--"); isFlag {
			name, _, _ = strings.Cut(name, "=")
			if name != "help" && !slices.ContainsFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }) {
				return "no flag --" + name
			}
			continue
		}
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == word })
		if i < 0 {
			if word == words[1] && word != "COMMAND" {
				return "no command " + word
			}
			continue // a value or an argument
		}
		commands, flags = commands[i].Subcommands, commands[i].Flags
	}
	return ""
}

func TestUnknown(t *testing.T) {
	app := newApp(io.Discard, io.Discard)
	for line, want := range map[string]string{
		"binrepd status --json":               "",
		"binrepd dialogs list --limit 5":      "",
		"binrepd dialogs get CALLID --json":   "",
		"binrepd sync --to a:1 --rate=200000": "",
		"binrepd fly":                         "no command fly",
		"binrepd status --loud":               "no flag --loud",
		"binrepd dialogs count --listen x":    "no flag --listen",
	} {
		if got := unknown(app, strings.Fields(line)); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
