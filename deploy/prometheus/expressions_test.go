package prometheus

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"

	"binrepd/deploy/tooltest"
)

const dashboard = "../grafana/binrepd.json"

// ruleFile is the part of a file of rules that the tests check.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Record, Alert, Expr string
			Annotations         map[string]string
		}
	}
}

// withRules checks all rules and returns the vocabulary with the recording rules added.
func withRules(t *testing.T) vocabulary {
	t.Helper()
	v := exported(t)
	v["up"] = map[string][]string{}
	var f ruleFile
	if err := yaml.Unmarshal([]byte(read(t, rules)), &f); err != nil {
		t.Fatal(err)
	}
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			labels, problems := v.check(r.Expr)
			for _, p := range problems {
				t.Errorf("%s%s: %s", r.Alert, r.Record, p)
			}
			if want := "docs/operations.md#" + strings.ToLower(r.Alert); r.Alert != "" && r.Annotations["runbook"] != want {
				t.Errorf("%s: runbook %q, want %s", r.Alert, r.Annotations["runbook"], want)
			}
			for _, text := range r.Annotations {
				for _, m := range templateLabel.FindAllStringSubmatch(text, -1) {
					if !slices.Contains(labels, m[1]) {
						t.Errorf("%s speaks of label %s, which nothing has", r.Alert, m[1])
					}
				}
			}
			if r.Record != "" {
				// For example, a source in a rule is still one of the known sources.
				v[r.Record] = map[string][]string{}
				for _, l := range labels {
					if !slices.Contains(scraped[:], l) {
						v[r.Record][l] = v.values(l)
					}
				}
			}
		}
	}
	return v
}

// values returns all values of a label over all metrics.
func (v vocabulary) values(label string) (all []string) {
	for _, labels := range v {
		all = append(all, labels[label]...)
	}
	return all
}

var (
	templateLabel = regexp.MustCompile(`\{\{ \$labels\.(\w+) \}\}`)
	legendLabel   = regexp.MustCompile(`\{\{(\w+)\}\}`)
	variableQuery = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
)

func TestRulesNameWhatExists(t *testing.T) { withRules(t) }

// board is the part of a dashboard that the tests check.
type board struct {
	UID, Title    string
	SchemaVersion int
	Panels        []panel
	Templating    struct{ List []variable }
	Annotations   struct{ List []target }
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               datasource
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []target
}

type target struct {
	Expr, LegendFormat string
	Datasource         datasource
}

type variable struct {
	Name, Type, Definition string
	Query                  json.RawMessage
}

type datasource struct{ Type, UID string }

func readBoard(t *testing.T) (b board) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, dashboard)), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// expressions lists all expressions of a dashboard with their places.
func (b *board) expressions() map[string][]target {
	all := map[string][]target{"annotations": b.Annotations.List}
	for _, p := range b.Panels {
		if p.Type != "row" {
			all[fmt.Sprintf("panel %d, %s", p.ID, p.Title)] = p.Targets
		}
	}
	return all
}

func TestDashboardNamesWhatExists(t *testing.T) {
	v, b := withRules(t), readBoard(t)
	v["ALERTS"] = map[string][]string{"alertname": {"Binrepd.*"}, "alertstate": {"firing"}}
	for where, targets := range b.expressions() {
		for _, target := range targets {
			labels, problems := v.check(target.Expr)
			for _, p := range problems {
				t.Errorf("%s: %s", where, p)
			}
			for _, m := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(labels, m[1]) {
					t.Errorf("%s: the legend shows %s, which nothing has", where, m[1])
				}
			}
		}
	}
	for _, variable := range b.Templating.List {
		if variable.Type != "query" {
			continue
		}
		m := variableQuery.FindStringSubmatch(variable.Definition)
		if m == nil {
			t.Errorf("variable %s: %s", variable.Name, variable.Definition)
			continue
		}
		labels, problems := v.check(m[1])
		if len(problems) > 0 || !slices.Contains(labels, m[2]) {
			t.Errorf("variable %s: %v", variable.Name, problems)
		}
	}
}

// TestDashboardShowsEveryMetric: every exported metric is on the dashboard, except a few that are too rare for a graph.
func TestDashboardShowsEveryMetric(t *testing.T) {
	text := read(t, dashboard)
	rare := []string{"binrepd_interface_info", "binrepd_sources", "binrepd_datagrams_seen_total", "binrepd_events_forwarded_total",
		"binrepd_tombstones_refused_total", "binrepd_timeouts_clamped_total", "binrepd_ring_refused_records_total",
		"binrepd_ring_late_wakeups_total", "binrepd_ring_records_total", "binrepd_destination_sent_bytes_total",
		"binrepd_destination_own_total", "binrepd_destination_converted_total", "binrepd_saves_total", "binrepd_last_save_bytes", "binrepd_last_save_dialogs",
		"binrepd_restored_save_timestamp_seconds", "binrepd_pin_adopted", "binrepd_pin_overflowed_records", "binrepd_pin_discarded_records", "binrepd_log_lines_lost_total", "binrepd_recorded_bytes_total", "binrepd_record_files",
		"binrepd_record_errors_total", "binrepd_record_failing"}
	for name := range exported(t) {
		shown := regexp.MustCompile(`\b` + name + `(_sum|_bucket)?\b`).MatchString(text)
		part := strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count") || strings.HasSuffix(name, "_bucket")
		if strings.HasPrefix(name, "binrepd_") && !part && shown == slices.Contains(rare, name) {
			t.Errorf("%s: shown %v", name, shown)
		}
	}
}

// TestDashboardForm: the dashboard can be imported anywhere, since its only data source is the variable, and its panels
// don't overlap.
func TestDashboardForm(t *testing.T) {
	b := readBoard(t)
	if b.UID == "" || b.Title == "" || b.SchemaVersion < 39 || b.Templating.List[0].Type != "datasource" {
		t.Errorf("%s, %s, schema %d", b.UID, b.Title, b.SchemaVersion)
	}
	const chosen = "${datasource}"
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range b.Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && (p.Description == "" || len(p.Targets) == 0 || p.Datasource.UID != chosen) {
			t.Errorf("panel %d %q: no id of its own, title, description, query or data source", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			if target.Datasource.UID != chosen {
				t.Errorf("%s: data source %s", p.Title, target.Datasource.UID)
			}
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestDashboardInPromtool: Prometheus itself parses every expression. It is stricter than the parser of the other
// tests.
func TestDashboardInPromtool(t *testing.T) {
	tooltest.Require(t, "promtool")
	var f struct {
		Groups []map[string]any `yaml:"groups"`
	}
	var list []map[string]string
	b := readBoard(t)
	for _, targets := range b.expressions() {
		for _, target := range targets {
			expr := strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h").Replace(target.Expr)
			list = append(list, map[string]string{"record": fmt.Sprintf("dashboard:%d", len(list)), "expr": expr})
		}
	}
	f.Groups = []map[string]any{{"name": "dashboard", "rules": list}}
	text, err := yaml.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	checkRules(t, text, len(list))
}
