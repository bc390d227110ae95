package telemetry

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"binrepd/deploy/tooltest"
)

var update = flag.Bool("update", false, "write testdata/metrics.txt and the table of docs/metrics.md instead of comparing them")

const (
	goldenFile = "testdata/metrics.txt"
	document   = "../../../docs/metrics.md"
)

// gathered returns the result of a registry for a snapshot, after all its checks.
func gathered(t *testing.T, p Picture) []*dto.MetricFamily {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(NewCollector(func() *Picture { return &p }))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// exposed returns the text of a scrape.
func exposed(t *testing.T, p Picture) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, f := range gathered(t, p) {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestGoldenScrape: names, labels, types and values are those agreed upon. `go test ./userspace/watch/telemetry
// -update` writes them again.
func TestGoldenScrape(t *testing.T) {
	compare(t, goldenFile, exposed(t, fixture()))
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			t.Fatalf("line %d differs from %s:\n%s\nIf this change is intended: go test ./userspace/watch/telemetry -update", i+1, file, g[i])
		}
	}
	t.Fatalf("%s has %d lines more", file, len(w)-len(g))
}

// TestEveryMetricOccurs: every described metric is sent, with the described type.
func TestEveryMetricOccurs(t *testing.T) {
	found := map[string]*dto.MetricFamily{}
	for _, f := range gathered(t, fixture()) {
		found[f.GetName()] = f
	}
	for _, m := range metrics {
		f := found[namespace+m.name]
		switch {
		case m.name == "" || m.help == "":
			t.Errorf("a metric without description, beside %q", m.name)
		case f == nil:
			t.Errorf("%s doesn't occur in the tests' snapshot", m.name)
		case strings.ToLower(f.GetType().String()) != m.kind.String():
			t.Errorf("%s is a %s, described as %s", m.name, f.GetType(), m.kind)
		}
	}
	if len(found) != len(metrics) {
		t.Errorf("%d families, %d described", len(found), len(metrics))
	}
}

// TestLint runs Prometheus's own linter, in this version and in that of promtool.
func TestLint(t *testing.T) {
	text := exposed(t, fixture())
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	t.Run("promtool", func(t *testing.T) {
		tooltest.Require(t, "promtool")
		cmd := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
		cmd.Stdin = bytes.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// table is the part of the document that is generated from the descriptions.
var table = regexp.MustCompile(`(?s)(<!-- metrics -->\n).*(<!-- end -->\n)`)

// TestDocument: docs/metrics.md lists every metric.
func TestDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range metrics {
		labels := strings.ReplaceAll(m.labels, " ", ", ")
		fmt.Fprintf(&b, "| `%s%s` | %s | %s | %s |\n", namespace, m.name, m.kind, labels, m.help)
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if !table.Match(text) {
		t.Fatal("no place for the table")
	}
	compare(t, document, table.ReplaceAll(text, []byte("${1}"+strings.ReplaceAll(b.String(), "$", "$$")+"${2}")))
}
