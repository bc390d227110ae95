package telemetry

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"binrepd/userspace/watch/control"
)

// large is a snapshot with as many sources, destinations and rings as have their own series.
func large() Picture {
	p := fixture()
	source, destination := p.Sources[0], p.Destinations[0]
	p.Sources, p.Destinations, p.Rings = nil, nil, make([]control.RingStatus, 16)
	for i := range ownSeries {
		source.Address = fmt.Sprintf("10.0.1.%d:5555", i)
		p.Sources = append(p.Sources, source)
	}
	for i := range 64 {
		destination.Address = fmt.Sprintf("10.0.2.%d:5556", i)
		p.Destinations = append(p.Destinations, destination)
	}
	return p
}

// BenchmarkScrape answers a scrape of a large appliance, without the network and without taking the snapshot.
func BenchmarkScrape(b *testing.B) {
	for name, accept := range map[string]string{
		"protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "text": "text/plain",
	} {
		b.Run(name, func(b *testing.B) {
			p := large()
			h := Exposition(slog.New(slog.DiscardHandler), NewCollector(func() *Picture { return &p }))
			r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			r.Header.Set("Accept", accept)
			r.Header.Set("Accept-Encoding", "gzip")
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
