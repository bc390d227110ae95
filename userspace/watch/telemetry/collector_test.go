package telemetry

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/control"
)

// value returns the only value of a family with these labels, or NaN.
func value(families []*dto.MetricFamily, name string, labels ...string) float64 {
	for _, f := range families {
		if f.GetName() != namespace+name {
			continue
		}
		for _, m := range f.GetMetric() {
			matched := 0
			for _, l := range m.GetLabel() {
				for i := 0; i < len(labels); i += 2 {
					if l.GetName() == labels[i] && l.GetValue() == labels[i+1] {
						matched++
					}
				}
			}
			if matched == len(labels)/2 {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return math.NaN()
}

// TestSourcesAreBounded: the first sources have their own series, even if others send more later. All others are
// counted together, as are those without a place in the engine's register. No source is left out.
func TestSourcesAreBounded(t *testing.T) {
	p := fixture()
	p.Sources = []control.SourceStatus{{Address: other, Events: 5, Rejected: 1, Last: fixedTime}}
	sum := 5.0
	for i := range 1000 {
		p.Sources = append(p.Sources, control.SourceStatus{Address: fmt.Sprintf("10.0.%d.%d:1", i/256, i%256), Events: uint64(i)})
		sum += float64(i)
	}
	families := gathered(t, p)
	var series int
	var got float64
	for _, f := range families {
		if f.GetName() == namespace+"source_events_total" {
			series = len(f.GetMetric())
			for _, m := range f.GetMetric() {
				got += m.GetCounter().GetValue()
			}
		}
	}
	if series != ownSeries+1 || got != sum {
		t.Errorf("%d series with %v events, want %d with %v", series, got, ownSeries+1, sum)
	}
	if n := value(families, "source_events_total", "source", "10.0.0.127:1"); n != 127 {
		t.Errorf("the last of the first: %v", n)
	}
	if n := value(families, "source_events_total", "source", "10.0.0.128:1"); !math.IsNaN(n) {
		t.Errorf("one too many: %v", n)
	}
	if n := value(families, "sources"); n != 1000 {
		t.Errorf("%v sources", n)
	}
}

// TestCapabilitiesAreBounded: senders choose the names. Their number is bounded, a name with a series keeps it, a name
// that isn't UTF-8 does no harm, and senders can't use the name "other".
func TestCapabilitiesAreBounded(t *testing.T) {
	p := fixture()
	c := NewCollector(nil)
	p.Capabilities = map[string]uint64{"zz": 1}
	if got := c.named(p.Capabilities); len(got) != 1 || got[0] != "zz" {
		t.Errorf("%q", got)
	}
	p.Capabilities = map[string]uint64{"zz": 1, other: 2, engine.OtherCapabilities: 4}
	for i := range 100 {
		p.Capabilities[fmt.Sprintf("name%02d", i)] = 10
	}
	if got := c.named(p.Capabilities); len(got) != ownCapabilities || got[0] != "zz" || got[15] != "name14" {
		t.Errorf("%q", got)
	}
	ignored := value(gathered(t, fixture()), "events_total", "capability", other) + float64(fixture().Capabilities["ul"])
	p.Capabilities = map[string]uint64{"\xff\xfe": 1, "\xff": 1, "?": 1}
	if n := value(gathered(t, p), "events_total", "capability", other); n != ignored-1 {
		t.Errorf("%v of %v", n, ignored)
	}
}

// TestHistograms: the native buckets are the engine's counts, and the classic ones are their sums.
func TestHistograms(t *testing.T) {
	p := fixture()
	for _, f := range gathered(t, p) {
		h := f.GetMetric()[0].GetHistogram()
		if h == nil {
			continue
		}
		native := map[int]uint64{}
		number, count, next := 0, int64(0), 0
		for _, span := range h.GetPositiveSpan() {
			number += int(span.GetOffset())
			for range span.GetLength() {
				count += h.GetPositiveDelta()[next]
				native[number] = uint64(count)
				number, next = number+1, next+1
			}
		}
		below := func(bound float64) (n uint64) {
			n = h.GetZeroCount()
			for number, c := range native {
				if math.Exp2(float64(number)/math.Exp2(float64(h.GetSchema()))) <= bound {
					n += c
				}
			}
			return n
		}
		if total := below(math.Inf(1)); total != h.GetSampleCount() || total == 0 {
			t.Errorf("%s: %d in native buckets, %d in all", f.GetName(), total, h.GetSampleCount())
		}
		for _, b := range h.GetBucket() {
			if got, want := b.GetCumulativeCount(), below(b.GetUpperBound()); got != want {
				t.Errorf("%s: %d up to %v, want %d", f.GetName(), got, b.GetUpperBound(), want)
			}
		}
		if f.GetName() == namespace+"apply_latency_seconds" {
			for i, n := range p.Engine.Latency.Counts[1:] {
				if native[engine.HistogramFirst+1+i] != n {
					t.Errorf("bucket %d: %d, want %d", i+1, native[engine.HistogramFirst+1+i], n)
				}
			}
			if h.GetZeroCount() != 1 {
				t.Errorf("%d zeros", h.GetZeroCount())
			}
		}
	}
}

// TestAbsent: missing values have no series, not a series with 0.
func TestAbsent(t *testing.T) {
	p := fixture()
	p.State, p.Pin, p.Record, p.FullIn, p.MaxDialogs = nil, nil, nil, nil, 0
	families := gathered(t, p)
	for _, name := range []string{"saves_total", "save_interval_seconds", "last_save_timestamp_seconds", "restored_dialogs", "pin_adopted",
		"recorded_total", "record_limit_bytes", "record_failing", "table_full_in_seconds", "dialogs_limit"} {
		if n := value(families, name); !math.IsNaN(n) {
			t.Errorf("%s is %v", name, n)
		}
	}
	if n := value(families, "source_last_event_timestamp_seconds", "source", "10.0.0.9:5555"); !math.IsNaN(n) {
		t.Errorf("a source that has sent nothing did so at %v", n)
	}
}

// TestRecent: any number of requests at a time, even with a jumping clock, share one snapshot for a while.
func TestRecent(t *testing.T) {
	var mu sync.Mutex
	now, taken := fixedTime, 0
	r := NewRecent(func() Picture { taken++; return Picture{} })
	r.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	ask := func() {
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { r.Picture() })
		}
		all.Wait()
	}
	for i, step := range []time.Duration{0, fresh - 1, 1, fresh, -time.Hour} {
		mu.Lock()
		now = now.Add(step)
		mu.Unlock()
		ask()
		if want := [...]int{1, 1, 2, 3, 4}[i]; taken != want {
			t.Errorf("step %d: %d pictures, want %d", i, taken, want)
		}
	}
}

// TestScrapersShare: any number of scrapes at a time, in any format, share the same series.
func TestScrapersShare(t *testing.T) {
	now, collected := fixedTime, 0
	p := fixture()
	registry := prometheus.NewRegistry()
	registry.MustRegister(NewCollector(func() *Picture { collected++; return &p }))
	g := newGathering(registry)
	var mu sync.Mutex
	g.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	page := exposition(slog.New(slog.DiscardHandler), g)
	forms := [...]string{
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "text/plain;version=0.0.4",
		"text/plain;version=1.0.0;escaping=underscores", "application/openmetrics-text;version=1.0.0",
	}
	first := map[string]string{}
	for round, step := range []time.Duration{0, fresh - 1, 1} {
		mu.Lock()
		now = now.Add(step)
		mu.Unlock()
		answers := make([]*httptest.ResponseRecorder, 3*len(forms)) // as many at once as allowed
		for from := 0; from < len(answers); from += maxScrapes {
			var all sync.WaitGroup
			for i := from; i < from+maxScrapes; i++ {
				all.Go(func() {
					r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
					r.Header.Set("Accept", forms[i%len(forms)])
					answers[i] = httptest.NewRecorder()
					page.ServeHTTP(answers[i], r)
				})
			}
			all.Wait()
		}
		for i, a := range answers {
			form := forms[i%len(forms)]
			if body := a.Body.String(); a.Code != http.StatusOK || body == "" || first[form] != "" && body != first[form] {
				t.Errorf("round %d, %s: %d, %d bytes, at first %d", round, form, a.Code, len(body), len(first[form]))
			} else {
				first[form] = body
			}
		}
		if want := [...]int{1, 1, 2}[round]; collected != want {
			t.Errorf("round %d: collected %d times, want %d", round, collected, want)
		}
	}
}
