package telemetry

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"binrepd/userspace/state/engine"
)

// bounds2 is the range of the classic buckets, as powers of two.
type bounds2 struct{ first, last int }

// Classic buckets double in size. Native ones need no bounds.
var (
	latencyBounds = bounds2{-18, 3} // 4 us to 8 s
	syncBounds    = bounds2{-5, 12} // 31 ms to 68 min
	batchBounds   = bounds2{0, 10}  // 1 to 1024, above engine.DefaultBatch
)

// histogramOf is a native histogram with additional classic buckets, for scrapers that know only these. Both are exact,
// because each classic bound is also a native one.
type histogramOf struct {
	prometheus.Metric
	classic []*dto.Bucket
}

// Write adds the classic buckets to the native ones.
func (h *histogramOf) Write(out *dto.Metric) error {
	if err := h.Metric.Write(out); err != nil {
		return err
	}
	out.Histogram.Bucket = h.classic
	return nil
}

// durations sends a histogram of the engine. It counts nanoseconds; the metric is in seconds.
func (s *scrape) durations(id int, h *engine.Histogram, classic bounds2) {
	s.histogram(id, h.Counts[:], engine.HistogramFirst, engine.HistogramSchema, float64(h.Sum)/1e9, classic)
}

// sizes sends a histogram of sizes.
func (s *scrape) sizes(id int, h *engine.Sizes) {
	s.histogram(id, h.Counts[:], 0, 0, float64(h.Sum), batchBounds)
}

// histogram sends counts. The first of them is bucket number first in the schema. For durations that bucket has only
// zeros, which belong in the zero bucket of a native histogram.
func (s *scrape) histogram(id int, counts []uint64, first int, schema int32, sum float64, classic bounds2) {
	var zeros, total uint64
	threshold := 0.0
	native := map[int]int64{}
	out := &histogramOf{}
	for i, n := range counts {
		total += n
		number := first + i
		switch {
		case n == 0:
		case i == 0 && first < 0:
			zeros = n
		default:
			native[number] = int64(n)
		}
		if number%(1<<schema) == 0 {
			if exponent := number >> schema; exponent >= classic.first && exponent <= classic.last {
				bound, sofar := math.Exp2(float64(exponent)), total
				out.classic = append(out.classic, &dto.Bucket{UpperBound: &bound, CumulativeCount: &sofar})
			}
		}
	}
	if first < 0 {
		threshold = math.Exp2(float64(first) / float64(int(1)<<schema))
	}
	out.Metric = prometheus.MustNewConstNativeHistogram(s.descs[id], total, sum, native, nil, zeros, schema, threshold, s.Started)
	s.ch <- out
}
