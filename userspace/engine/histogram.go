package engine

import (
	"math/bits"
	"time"
)

// Buckets of a Histogram: four to each power of two, so that a quantile is right to within 25 %.
const (
	subBits   = 2
	subCount  = 1 << subBits
	histogram = 40 << subBits // up to 2^40 ns, about 18 minutes; what is longer falls into the last one
)

// Histogram counts durations in nanoseconds. It has a fixed size and one writer.
type Histogram struct {
	Counts [histogram]uint64
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

func bucket(v uint64) int {
	if v < subCount {
		return int(v)
	}
	exp := bits.Len64(v) - 1 - subBits // so that v>>exp is in [subCount, 2*subCount)
	return min(exp<<subBits+int(v>>exp), histogram-1)
}

// UpperBound returns the first value, in nanoseconds, that lies beyond bucket i.
func UpperBound(i int) uint64 {
	if i < 2*subCount {
		return uint64(i) + 1
	}
	exp := i>>subBits - 1
	return uint64(i&(subCount-1)+subCount+1) << exp
}

// Count returns the number of observations.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Quantile returns a duration that the share q (0 to 1) of the observations does not exceed, up to 25 % above
// the exact one, or 0 without observations.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.Count()))
	var seen uint64
	for i, c := range h.Counts {
		if seen += c; c > 0 && seen >= rank {
			return time.Duration(min(UpperBound(i), h.Max))
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
