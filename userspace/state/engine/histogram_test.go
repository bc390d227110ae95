package engine

import (
	"math"
	"testing"
	"time"
)

// TestBuckets checks the bounds around each of them, where rounding would show, and in between.
func TestBuckets(t *testing.T) {
	check := func(v uint64) {
		t.Helper()
		i := bucket(v)
		// As Prometheus defines it: (2^((n-1)/4), 2^(n/4)] seconds.
		n, seconds := float64(HistogramFirst+i), float64(v)/1e9
		if i < buckets-1 && seconds > math.Exp2(n/4) || i > 0 && seconds <= math.Exp2((n-1)/4) {
			t.Fatalf("%d ns are in bucket %d, of %.4g to %.4g s", v, i, math.Exp2((n-1)/4), math.Exp2(n/4))
		}
		if i < buckets-1 && v > Bound(i) || i > 0 && v <= Bound(i-1) {
			t.Fatalf("%d ns are in bucket %d, which ends at %d", v, i, Bound(i))
		}
	}
	for v := range uint64(10_000) {
		check(v)
	}
	for i := range buckets - 1 {
		for v := max(Bound(i), 1) - 1; v <= Bound(i)+1; v++ {
			check(v)
		}
	}
	for _, v := range []uint64{1e9, 1e9 + 1, 1 << 43, 1<<44 - 1, 1 << 44, math.MaxUint64} {
		check(v)
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	for v := range int64(1000) {
		h.Observe(v * 1000)
	}
	h.Observe(-5)
	h.Observe(1 << 62)
	for q, exact := range map[float64]time.Duration{0.5: 500_000, 0.99: 990_000} {
		if got := h.Quantile(q); got < exact || float64(got) > float64(exact)*1.19+1 {
			t.Errorf("quantile %v: %v, want %v to 19 %% above", q, got, exact)
		}
	}
	if h.Counts[0] != 2 || h.Counts[buckets-1] != 1 || h.Count() != 1002 {
		t.Errorf("%d zeros, %d beyond the end, %d in all", h.Counts[0], h.Counts[buckets-1], h.Count())
	}
}

func TestSizes(t *testing.T) {
	var s Sizes
	for _, n := range []int{1, 2, 3, 4, 5, 512, 513, 1 << 20} {
		s.Observe(n)
	}
	want := Sizes{Counts: [sizeBuckets]uint64{0: 1, 1: 1, 2: 2, 3: 1, 9: 1, 10: 1, sizeBuckets - 1: 1}, Sum: 1<<20 + 1040}
	if s != want || s.Count() != 8 {
		t.Errorf("%+v, want %+v", s, want)
	}
	sum := want
	sum.Add(&s)
	if sum.Count() != 16 || sum.Sum != 2*want.Sum || sum.Counts[2] != 4 {
		t.Errorf("twice: %+v", sum)
	}
}

// TestSince: the difference of two histograms has what came in between.
func TestSince(t *testing.T) {
	var h Histogram
	h.Observe(5e9)
	before := h
	h.Observe(100_000)
	since := h.Since(&before)
	if since.Count() != 1 || since.Sum != 100_000 || since.Max < 100_000 || since.Max > 119_000 {
		t.Errorf("%d, sum %d, max %d", since.Count(), since.Sum, since.Max)
	}
	if none := h.Since(&h); none.Count() != 0 || none.Max != 0 || none.Quantile(0.99) != 0 {
		t.Errorf("%+v", none)
	}
}
