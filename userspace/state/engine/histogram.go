package engine

import (
	"math"
	"math/bits"
	"time"
)

// Buckets of a Histogram are those of Prometheus's native histograms, of schema 2, in seconds: four to each power of two, the upper
// bound of one being 2^(1/4) times that of the one before. So what it counts is shown there as it is, and a quantile is right to
// within 19 %.
//
// https://prometheus.io/docs/specs/native_histograms/#schema
const (
	HistogramSchema = 2
	// HistogramFirst is the number, in that schema, of the first bucket. It ends at 2^-30 s, less than a nanosecond, and so has
	// only zeros in it.
	HistogramFirst = -30 << HistogramSchema
	octaves        = 44 // up to 2^44 ns, about 5 hours; what is longer falls into the last bucket
	buckets        = octaves<<HistogramSchema + 2
)

// In nanoseconds the bounds are 1e9 * 2^(i/4), for every whole i. These are the four of each power of two, divided by that: 1.1075,
// 1.3171, 1.5663, 1.8626, times 2^63, rounded down. Only the last is a whole number of nanoseconds somewhere, and it is exact.
const (
	bound1 = 0x8dc3b8960164a7d9
	bound2 = 0xa8965f74bf065071
	bound3 = 0xc87c3e7d03cdbec3
	bound0 = 0xee6b280000000000
	none64 = math.MaxUint64
)

// sixteenths are the parts of a power of two: how many of the four bounds lie below each, and the one in it, if there is one. So
// one look and one comparison find a bucket.
var sixteenths = [...]struct{ below, bound uint64 }{
	{0, none64}, {0, bound1}, {1, none64}, {1, none64}, {1, none64}, {1, bound2}, {2, none64}, {2, none64},
	{2, none64}, {2, bound3}, {3, none64}, {3, none64}, {3, none64}, {3, bound0}, {4, none64}, {4, none64},
}

// Histogram counts durations in nanoseconds. It has a fixed size and one writer.
type Histogram struct {
	Counts [buckets]uint64
	Sum    uint64 // ns
	Max    uint64 // ns
}

// Observe counts one duration in nanoseconds; a negative one, which is a clock set back, counts as zero.
func (h *Histogram) Observe(ns int64) {
	v := uint64(max(ns, 0))
	h.Counts[bucket(v)]++
	h.Sum += v
	h.Max = max(h.Max, v)
}

// bucket returns the first bucket whose bound isn't below v.
func bucket(v uint64) int {
	if v == 0 {
		return 0
	}
	lead := bits.LeadingZeros64(v)
	m := v << (lead & 63)
	part := &sixteenths[m>>59&15]
	_, above := bits.Sub64(part.bound, m, 0) // 1 if m is above the bound
	return min((63-lead)<<HistogramSchema+1+int(part.below+above), buckets-1)
}

// Bound returns the longest duration, in nanoseconds, that belongs into bucket i.
func Bound(i int) uint64 {
	return uint64(math.Exp2(float64(HistogramFirst+i)/(1<<HistogramSchema)) * float64(time.Second))
}

// Count returns the number of observations.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Quantile returns a duration that the share q (0 to 1) of the observations does not exceed, up to 19 % above
// the exact one, or 0 without observations.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.Count()))
	var seen uint64
	for i, c := range h.Counts {
		if seen += c; c > 0 && seen >= rank {
			return time.Duration(min(Bound(i), h.Max))
		}
	}
	return 0
}

// Add adds the observations of o.
func (h *Histogram) Add(o *Histogram) {
	for i, c := range o.Counts {
		h.Counts[i] += c
	}
	h.Sum += o.Sum
	h.Max = max(h.Max, o.Max)
}

// Since returns the observations of h that the earlier copy o of it lacks. Max is the bound of the highest bucket that has
// some, or the Max of h if that is less.
func (h *Histogram) Since(o *Histogram) (out Histogram) {
	for i, c := range h.Counts {
		out.Counts[i] = c - min(o.Counts[i], c)
		if out.Counts[i] > 0 {
			out.Max = min(Bound(i), h.Max)
		}
	}
	out.Sum = h.Sum - min(o.Sum, h.Sum)
	return out
}

// sizeBuckets is enough for batches of 32,768 packets.
const sizeBuckets = 16

// Sizes counts batches by their size. Bucket i, which is also its number in a native histogram of schema 0, has those of more than
// 2^(i-1) and up to 2^i packets; the last has the larger ones, too.
type Sizes struct {
	Counts [sizeBuckets]uint64
	Sum    uint64 // packets
}

// Observe counts one batch of n packets, at least one.
func (s *Sizes) Observe(n int) {
	s.Counts[min(bits.Len(uint(n-1)), sizeBuckets-1)]++
	s.Sum += uint64(n)
}

// Count returns the number of batches.
func (s *Sizes) Count() (n uint64) {
	for _, c := range s.Counts {
		n += c
	}
	return n
}

// Add adds the batches of o.
func (s *Sizes) Add(o *Sizes) {
	for i, c := range o.Counts {
		s.Counts[i] += c
	}
	s.Sum += o.Sum
}
