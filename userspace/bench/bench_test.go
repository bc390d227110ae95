package bench

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkStages runs every stage of the bench, small, so that the code of the bench can't rot and revisions can be
// compared with benchstat. BINREPD_BENCH_DIALOGS sets the number of dialogs. Each figure of a stage is a unit of its
// own: processor time of an event where that was measured, else time.
//
//	go test -run '^$' -bench Stages/whole -benchtime=1x -count=10 ./userspace/bench
func BenchmarkStages(b *testing.B) {
	cfg := Config{Dialogs: 20_000, Runs: 3, Metrics: serveMetrics}
	if s := os.Getenv("BINREPD_BENCH_DIALOGS"); s != "" {
		var err error
		if cfg.Dialogs, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	for _, st := range stages {
		b.Run(st.name, func(b *testing.B) {
			if st.privileged {
				requireKernel(b)
			}
			cfg := cfg
			cfg.Stages = []string{st.name}
			var report *Report
			for b.Loop() {
				var err error
				if report, err = Run(b.Context(), cfg); err != nil {
					b.Fatal(err)
				}
			}
			for _, row := range report.Rows {
				value := row.CPU
				if value == 0 {
					value = row.NS
				}
				if value > 0 {
					b.ReportMetric(value, unit(row.Case)+"-ns/event")
				}
			}
			b.ReportMetric(0, "ns/op") // how long a stage takes says nothing
		})
	}
}

// unit makes a name that the format of benchmarks allows of a case.
func unit(name string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' || r == ':' || r == '/' {
			return '_'
		}
		return r
	}, name)
}
