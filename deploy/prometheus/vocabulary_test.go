package prometheus

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"binrepd/deploy/tooltest"
	"binrepd/userspace/watch/telemetry"
)

// vocabulary is what expressions may use: for each metric its labels, with their known values.
type vocabulary map[string]map[string][]string

// scraped are labels that Prometheus adds.
var scraped = [...]string{"job", "instance"}

// exported reads the golden scrape of the telemetry package, and the process metrics of a real scrape.
func exported(t *testing.T) vocabulary {
	t.Helper()
	golden, err := os.ReadFile(filepath.Join(tooltest.Root(t), "userspace", "watch", "telemetry", "testdata", "metrics.txt"))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	telemetry.Exposition(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(golden) + w.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	v := vocabulary{}
	for name, f := range families {
		labels := map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
		}
		v[name] = labels
		if f.GetType().String() == "HISTOGRAM" {
			v[name+"_sum"], v[name+"_count"] = labels, labels
			v[name+"_bucket"] = map[string][]string{"le": nil}
		}
	}
	if len(v) < 50 {
		t.Fatalf("%d metrics in the golden scrape", len(v))
	}
	return v
}

// check parses an expression and reports metrics, labels and values that don't exist. It returns the labels that the
// results may have.
func (v vocabulary) check(expr string) (labels, problems []string) {
	parsed, err := metricsql.Parse(strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h").Replace(expr))
	if err != nil {
		return nil, []string{err.Error()}
	}
	labels = slices.Clone(scraped[:])
	var groups []string
	metrics := 0
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		switch e := e.(type) {
		case *metricsql.MetricExpr:
			metrics++
			names, wrong := v.selector(e)
			labels, problems = append(labels, names...), append(problems, wrong...)
		case *metricsql.AggrFuncExpr:
			groups = append(groups, e.Modifier.Args...)
		case *metricsql.BinaryOpExpr:
			groups = append(groups, e.GroupModifier.Args...)
			groups = append(groups, e.JoinModifier.Args...)
		}
	})
	if metrics == 0 {
		problems = append(problems, "names no metric")
	}
	for _, g := range groups {
		if !slices.Contains(labels, g) {
			problems = append(problems, "goes by label "+g+", which nothing in it has")
		}
	}
	return labels, problems
}

// selector checks one NAME{LABEL="VALUE"} and returns the labels of the metric.
func (v vocabulary) selector(e *metricsql.MetricExpr) (names, problems []string) {
	for _, filters := range e.LabelFilterss {
		name := filters[0].Value
		labels, known := v[name]
		if filters[0].Label != "__name__" || !known {
			problems = append(problems, "there is no metric "+name)
			continue
		}
		names = slices.AppendSeq(names, maps.Keys(labels))
		for _, f := range filters[1:] {
			values, known := labels[f.Label]
			if !known && !slices.Contains(scraped[:], f.Label) {
				problems = append(problems, name+" has no label "+f.Label)
			}
			if !known || strings.HasPrefix(f.Value, "$") {
				continue
			}
			for value := range strings.SplitSeq(f.Value, "|") {
				if !slices.Contains(values, value) {
					problems = append(problems, fmt.Sprintf("%s of %s is never %q", f.Label, name, value))
				}
			}
		}
	}
	return names, problems
}

// TestVocabulary: the check finds the errors that it is meant to find.
func TestVocabulary(t *testing.T) {
	v := vocabulary{"a_total": {"state": {"up", "down"}}, "b": {}}
	const good = `sum by (state, job) (rate(a_total{state=~"up|down", instance="x"}[$__rate_interval])) / on (job) group_left (state) b`
	if _, problems := v.check(good); len(problems) > 0 {
		t.Error(problems)
	}
	for _, expr := range []string{
		`c`, `a_total{other="x"}`, `a_total{state="left"}`, `a_total{state!~"up|left"}`, `sum by (other) (a_total)`, `a_total * on (other) b`,
		`1 + 2`, `rate(a_total[5m]`,
	} {
		if _, problems := v.check(expr); len(problems) != 1 {
			t.Errorf("%s: found %q", expr, problems)
		}
	}
}
