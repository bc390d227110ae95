package prometheus

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"binrepd/deploy/tooltest"
)

const (
	rules = "binrepd.rules.yml"
	cases = "binrepd.rules.test.yml"
)

// TestPromtool: Prometheus accepts the files, and the alerts fire or not as the test cases expect.
func TestPromtool(t *testing.T) {
	tooltest.Require(t, "promtool")
	for _, args := range [][]string{
		{"check", "config", "prometheus.yml"},
		{"check", "rules", "--lint-fatal", rules},
		{"test", "rules", cases},
	} {
		if out := tooltest.Run(t, ".", nil, append([]string{"promtool"}, args...)...); !strings.Contains(out, "SUCCESS") {
			t.Errorf("promtool %s: %s", strings.Join(args, " "), out)
		}
	}
}

// checkRules checks that promtool reads a file of n rules.
func checkRules(t *testing.T, text []byte, n int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if out := tooltest.Run(t, ".", nil, "promtool", "check", "rules", file); !strings.Contains(out, fmt.Sprintf("%d rules found", n)) || n == 0 {
		t.Error(out)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEveryAlertHasCases: each alert has a case in which it fires, and one in which it doesn't.
func TestEveryAlertHasCases(t *testing.T) {
	var quiet, firing []string
	for _, m := range regexp.MustCompile(`alertname: (\w+)(, exp_alerts: \[\])?`).FindAllStringSubmatch(read(t, cases), -1) {
		if m[2] != "" {
			quiet = append(quiet, m[1])
		} else {
			firing = append(firing, m[1])
		}
	}
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(read(t, rules), -1)
	if len(alerts) < 9 {
		t.Fatalf("%d alerts", len(alerts))
	}
	for _, m := range alerts {
		if !slices.Contains(quiet, m[1]) || !slices.Contains(firing, m[1]) {
			t.Errorf("%s lacks a case in which it comes, or one in which it doesn't", m[1])
		}
	}
}
