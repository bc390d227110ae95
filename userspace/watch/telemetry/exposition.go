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

// maxScrapes is the maximum number of scrapes at the same time. More get 503 and may try again. Each takes
// milliseconds, because none waits for its client.
const maxScrapes = 4

// Exposition answers scrapes with the metrics of c and with those of the Go runtime and the process.
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
		ErrorHandling:       promhttp.ContinueOnError, // partial metrics are better than none
		MaxRequestsInFlight: maxScrapes,
	}))
}

// gathering shares the gathered series among scrapes at short intervals. The series are most of the cost of a scrape: a
// large appliance has thousands, each in several pieces of memory. They are never changed; the encoders only read them.
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

// apart makes h write its complete answer to memory before any byte is sent. So h never waits for a client, and a
// client that doesn't read doesn't look like an error of the server. An answer has some ten kilobytes.
func apart(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := answered{ResponseWriter: w, code: http.StatusOK}
		h.ServeHTTP(&a, r)
		w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
		w.WriteHeader(a.code)
		_, _ = a.body.WriteTo(w)
	})
}

// answered is an answer that has not been sent yet. Its header is sent with the first byte.
type answered struct {
	http.ResponseWriter
	code int
	body bytes.Buffer
}

func (a *answered) WriteHeader(code int)        { a.code = code }
func (a *answered) Write(b []byte) (int, error) { return a.body.Write(b) }
