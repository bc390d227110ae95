package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestReadmeNamesEveryFlag: the table of flags in the README and the flags of run are the same.
func TestReadmeNamesEveryFlag(t *testing.T) {
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var table []string
	for _, line := range strings.Split(string(b), "\n") {
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
			t.Errorf("the README doesn't list --%s", name)
		}
	}
	for _, name := range table {
		if !known[name] && name != "xdp" {
			t.Errorf("the README lists --%s, which run doesn't have", name)
		}
	}
}
