package telemetry

import (
	"bytes"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// maxScrapes are put together at once; who comes on top is told to come again (503). Each takes milliseconds: none waits for its client.
const maxScrapes = 4

// Exposition answers scrapes with what c collects, and with what the Go runtime and the kernel tell of this process.
func Exposition(log *slog.Logger, c ...prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(append(c,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)...)
	return exposition(log, newGathering(registry))
}

func exposition(log *slog.Logger, g prometheus.Gatherer) http.Handler {
	return apart(promhttp.HandlerFor(g, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError, // the rest is better than nothing
		MaxRequestsInFlight: maxScrapes,
	}))
}

// gathering shares the series that were gathered among those who ask at short intervals. They are most of what a scrape costs: a large appliance has
// thousands, each in several pieces of memory. Nobody changes them: the encoders only read.
type gathering struct{ shared[series] }

type series struct {
	families []*dto.MetricFamily
	err      error
}

func newGathering(from prometheus.Gatherer) *gathering {
	return &gathering{shared[series]{now: time.Now, take: func() (s series) {
		s.families, s.err = from.Gather()
		return s
	}}}
}

// Gather implements prometheus.Gatherer.
func (g *gathering) Gather() ([]*dto.MetricFamily, error) {
	last := g.get()
	return last.families, last.err
}

// apart has h put the whole answer together before a byte of it is sent, so that h waits for no client, and doesn't take one that reads
// nothing for an error of ours. An answer has some ten kilobytes.
func apart(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := answered{ResponseWriter: w, code: http.StatusOK}
		h.ServeHTTP(&a, r)
		w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
		w.WriteHeader(a.code)
		_, _ = a.body.WriteTo(w)
	})
}

// answered is an answer that has not been sent yet, but for the header, which nobody sends before the first byte.
type answered struct {
	http.ResponseWriter
	code int
	body bytes.Buffer
}

func (a *answered) WriteHeader(code int)        { a.code = code }
func (a *answered) Write(b []byte) (int, error) { return a.body.Write(b) }
