package reference

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"binrepd/deploy/tooltest"
)

// Package cmd/binrepd compares the files with the program's flags. The tests here use the files.

func TestManualPage(t *testing.T) {
	tooltest.Require(t, "man", "groff")
	cmd := exec.CommandContext(t.Context(), "man", "--warnings=all", "-l", "binrepd.8")
	cmd.Env = append(cmd.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=100", "MANPAGER=cat", "MAN_KEEP_FORMATTING=")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.String() != "" {
		t.Fatalf("man: %v\n%s", err, stderr.String())
	}
	for _, want := range []string{"NAME", "binrepd run", "--listen ADDRESS:PORT", "[BINREPD_LISTEN]", "Default: 64MiB.", "binrepd dialogs get", "CALLID", "EXIT STATUS"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the page doesn't say %q", want)
		}
	}
}

// TestManualPageKeepsNames: names of flags and variables stand in the page in one piece, at any width, so that they can be
// copied (fault 32).
func TestManualPageKeepsNames(t *testing.T) {
	tooltest.Require(t, "man", "groff")
	names := regexp.MustCompile(`BINREPD_[A-Z_]+`).FindAllString(string(manPage(t)), -1)
	for _, width := range []string{"60", "72", "80", "100"} {
		cmd := exec.CommandContext(t.Context(), "man", "-l", "binrepd.8")
		cmd.Env = append(cmd.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH="+width, "MANPAGER=cat", "MAN_KEEP_FORMATTING=")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		text := string(out)
		for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
			if !strings.Contains(text, name) {
				t.Errorf("width %s: %s isn't in one piece", width, name)
			}
		}
		if i := strings.Index(text, "\u2010\n"); i >= 0 {
			t.Errorf("width %s: a word is broken: %q", width, text[max(i-40, 0):i+20])
		}
	}
}

func manPage(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("binrepd.8")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// completions are command lines whose last word is completed, with offers to expect. An offer after a plus must be
// there, and one after a dash must not.
var completions = []struct {
	line   string
	offers []string
}{
	{"binrepd ", []string{"+run", "+status", "+dialogs", "+sync", "+doctor", "+version", "-list"}},
	{"binrepd sta", []string{"+status", "-run"}},
	{"binrepd --ver", []string{"+--version"}},
	{"binrepd run --l", []string{"+--listen", "+--log-level", "---xdp"}},
	{"binrepd run --xdp ", []string{"+auto", "+native", "+generic", "+off", "-debug"}},
	{"binrepd run --xdp g", []string{"+generic", "-native"}},
	{"binrepd run --log-level ", []string{"+debug", "+error", "-native"}},
	{"binrepd run --listen 10.0.0.2:5556 --xd", []string{"+--xdp"}},
	{"binrepd dialogs ", []string{"+list", "+get", "+count", "-run"}},
	{"binrepd dialogs list --sta", []string{"+--state"}},
	{"binrepd dialogs list --state ", []string{"+confirmed", "+early"}},
	{"binrepd dialogs count --li", []string{"---limit", "---listen"}},
	{"binrepd status --control binrepd.b", []string{"+binrepd.bash", "-binrepd.8"}},
	{"binrepd run --interface l", []string{"+lo"}},
	{"binrepd save binrepd.b", []string{"+binrepd.bash", "---control"}},
	{"binrepd save --con", []string{"+--control"}},
	{"binrepd sync --rate ", []string{"---to", "-run"}},
}

func checkOffers(t *testing.T, line, offered string) {
	t.Helper()
	got := strings.Fields(offered)
	for _, test := range completions {
		if test.line != line {
			continue
		}
		for _, o := range test.offers {
			if want := o[0] == '+'; slices.Contains(got, o[1:]) != want {
				t.Errorf("%q: %s offered: %t; all: %q", line, o[1:], !want, got)
			}
		}
	}
}

func TestBash(t *testing.T) {
	tooltest.Require(t, "bash")
	const driver = `source ./binrepd.bash
shift 0; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _binrepd; printf '%s\n' "${COMPREPLY[@]}"`
	ask := func(words ...string) string {
		t.Helper()
		return tooltest.Run(t, ".", nil, append([]string{"bash", "--norc", "-euc", driver, "bash"}, words...)...)
	}
	for _, c := range completions {
		checkOffers(t, c.line, ask(strings.Split(c.line, " ")...))
	}
	// bash splits --xdp=g like this.
	if got := ask("binrepd", "run", "--xdp", "=", "g"); strings.TrimSpace(got) != "generic" {
		t.Errorf("--xdp=g: %q", got)
	}
	if got := strings.Fields(ask("binrepd", "run", "--xdp", "=")); len(got) != 4 {
		t.Errorf("--xdp=: %q", got)
	}
}

func TestZsh(t *testing.T) {
	tooltest.Require(t, "zsh")
	tooltest.Run(t, ".", nil, "zsh", "-n", "_binrepd")
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	list := filepath.Join(home, "completions")
	for _, c := range completions {
		checkOffers(t, c.line, tooltest.Run(t, ".", []string{"HOME=" + home}, "zsh", "-f", "complete.zsh", here, list, c.line))
	}
}

func TestShell(t *testing.T) {
	tooltest.Require(t, "shellcheck")
	tooltest.Run(t, ".", nil, "shellcheck", "--shell=bash", "binrepd.bash")
}

// TestAwkwardTexts: special characters of shells and roff come out as intended.
func TestAwkwardTexts(t *testing.T) {
	app := &cli.App{
		Name: "binrepd", Usage: "x",
		Commands: []*cli.Command{{
			Name: "run", Usage: "it's [odd]: a\\b", Description: ".one\n'two\n\nlist:\na   b\nc   d",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "it", Usage: "what's [in] `A:B`: a list", Value: "it's"},
				&cli.BoolFlag{Name: "hidden", Hidden: true},
			},
		}, {Name: "secret", Hidden: true}},
	}
	files := map[string]string{}
	for _, f := range Files(app, nil) {
		files[f.Name] = string(f.Text)
		if strings.Contains(string(f.Text), "hidden") || strings.Contains(string(f.Text), "secret") {
			t.Errorf("%s shows what is hidden", f.Name)
		}
	}
	for file, want := range map[string][]string{
		"binrepd.8": {"\n\\&.one\n\\&'two\n", "a\\eb", ".nf\na   b\nc   d\n.fi", "\\fB\\-\\-it\\fR \\fIA:B\\fR"},
		"_binrepd":  {`'run:it'\''s [odd]\: a\b'`, `'--it=[what'\''s \[in\] A:B]:A\:B: '`},
	} {
		for _, w := range want {
			if !strings.Contains(files[file], w) {
				t.Errorf("%s doesn't have %q:\n%s", file, w, files[file])
			}
		}
	}
}
