package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestFlagsPage: the table of flags in docs/flags.md and the flags of run are the same, and the README points there.
func TestFlagsPage(t *testing.T) {
	if !strings.Contains(document(t, "README.md"), "(docs/flags.md)") {
		t.Error("the README doesn't lead to docs/flags.md")
	}
	var table []string
	for line := range strings.SplitSeq(document(t, "docs", "flags.md"), "\n") {
		if rest, ok := strings.CutPrefix(line, "| `--"); ok {
			name, _, _ := strings.Cut(rest, " ")
			table = append(table, strings.TrimRight(name, "`"))
		}
	}
	known := map[string]bool{}
	for _, f := range runFlags() {
		if f == cli.HelpFlag {
			continue
		}
		name := f.Names()[0]
		known[name] = true
		if !slices.Contains(table, name) {
			t.Errorf("docs/flags.md doesn't list --%s", name)
		}
	}
	for _, name := range table {
		if !known[name] {
			t.Errorf("docs/flags.md lists --%s, which run doesn't have", name)
		}
	}
}
