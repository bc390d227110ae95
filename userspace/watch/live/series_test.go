package live

import (
	"math"
	"testing"
	"time"
)

// seriesOf makes a series with a point in each interval, ending at noon.
func seriesOf(interval time.Duration, counts ...uint64) *series {
	s := &series{}
	for i, n := range counts {
		to := noon().Add(-time.Duration(len(counts)-1-i) * interval)
		s.add(point{to.Add(-interval), to, n})
	}
	return s
}

func TestColumns(t *testing.T) {
	nan := math.NaN()
	for _, test := range []struct {
		name string
		s    *series
		now  time.Duration // after noon
		n    int
		want []float64 // the last columns; all before are unknown
	}{
		{"nothing", &series{}, 0, 180, []float64{nan}},
		// 180 columns of a second. Noon starts a new column, so the last one is unknown.
		{"a second each", seriesOf(time.Second, 1, 0, 5), 0, 180, []float64{1, 0, 5, nan}},
		// 60 columns of 3 s. A second later, the current column has a third of its time.
		{"means", seriesOf(time.Second, 3, 3, 3, 6, 6, 6), 0, 60, []float64{3, 6, nan}},
		{"longer intervals", seriesOf(10*time.Second, 100, 200), 0, 180,
			[]float64{10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, nan}},
		{"later", seriesOf(time.Second, 7), 2 * time.Second, 180, []float64{7, nan, nan, nan}},
	} {
		got := test.s.columns(noon().Add(test.now), test.n)
		if len(got) != test.n {
			t.Fatalf("%s: %d columns", test.name, len(got))
		}
		for i, v := range got {
			want := nan
			if k := i - (len(got) - len(test.want)); k >= 0 {
				want = test.want[k]
			}
			if math.IsNaN(v) != math.IsNaN(want) || math.Abs(v-want) > 1e-9 {
				t.Errorf("%s: column %d from the end is %v, want %v", test.name, len(got)-i, v, want)
			}
		}
	}
}

// TestColumnUnderWay: the current column shows the rate of the part that has passed, so it doesn't start low.
func TestColumnUnderWay(t *testing.T) {
	s := &series{}
	s.add(point{noon(), noon().Add(time.Second), 30})
	if got := s.columns(noon().Add(time.Second), 60); got[59] != 30 {
		t.Errorf("%v, want 30", got[59])
	}
}

// TestStep: a sparkline shows at least three minutes, unless it is very short, and never more than is kept.
func TestStep(t *testing.T) {
	for n := leastGraph; n <= int(keep/steps[0]); n++ {
		if shown := step(n) * time.Duration(n); shown < least || shown > keep {
			t.Errorf("%d columns of %s: %s", n, step(n), shown)
		}
	}
	if step(1) != steps[len(steps)-1] {
		t.Error(step(1))
	}
}

// TestSeriesForgets: points that no sparkline can show are dropped. A frozen copy keeps its points.
func TestSeriesForgets(t *testing.T) {
	var s series
	var frozen series
	for i := range 3000 {
		to := noon().Add(time.Duration(i) * time.Second)
		s.add(point{to.Add(-time.Second), to, uint64(i)})
		if i == 1000 {
			frozen = s
		}
	}
	if n := len(s.points); n != int(keep/time.Second) || cap(s.points) > 4*n {
		t.Errorf("%d points, room for %d", n, cap(s.points))
	}
	if frozen.last() != 1000 || frozen.growing.n != 1000 {
		t.Errorf("the copy ends with %v, want 1000", frozen.last())
	}
}

// TestSeriesOfManySamples: with ten samples a second, no more points are kept than with one, and the columns are equal.
func TestSeriesOfManySamples(t *testing.T) {
	var often, once, frozen series
	for i := range 6000 {
		to := noon().Add(time.Duration(i+1) * 100 * time.Millisecond)
		often.add(point{to.Add(-100 * time.Millisecond), to, uint64(i % 7)})
		if i == 1004 {
			frozen = often
		}
	}
	for i := range 600 {
		n := uint64(0)
		for j := range 10 {
			n += uint64((10*i + j) % 7)
		}
		from := noon().Add(time.Duration(i) * time.Second)
		once.add(point{from, from.Add(time.Second), n})
	}
	if n := len(often.points); n > int(keep/grain) {
		t.Errorf("%d points are kept", n)
	}
	now := noon().Add(10 * time.Minute)
	a, b := often.columns(now, 180), once.columns(now, 180)
	for i := range a {
		if math.IsNaN(a[i]) != math.IsNaN(b[i]) || math.Abs(a[i]-b[i]) > 1e-9 {
			t.Errorf("column %d is %v, want %v", i, a[i], b[i])
		}
	}
	if got := often.last(); got != float64(5999%7)/0.1 {
		t.Errorf("the newest rate is %v", got)
	}
	if frozen.growing.to != noon().Add(100500*time.Millisecond) || frozen.last() != float64(1004%7)/0.1 {
		t.Errorf("the copy went on to %v", frozen.growing)
	}
}

func TestSpark(t *testing.T) {
	nan := math.NaN()
	for _, test := range []struct {
		columns []float64
		unicode bool
		height  int
		want    string
	}{
		{[]float64{nan, 0, 1, 8, 1000, 500}, true, 1, " ·▁▁▇▄"},
		{[]float64{nan, 0, 1, 8, 1000, 500}, false, 1, " .::@+"},
		{[]float64{0, 0}, true, 1, "··"},
		{[]float64{nan}, true, 1, " "},
		{[]float64{1, 2, 3, 4}, true, 2, "  ▄▇\n▄███"},
	} {
		f := newFrame(len(test.columns), test.height, newGlyphs(test.unicode))
		f.spark(0, test.height-1, test.height, test.columns, Line)
		got := ""
		for y := range f.Height {
			if y > 0 {
				got += "\n"
			}
			for x := range f.Width {
				got += string(f.At(x, y).Rune)
			}
		}
		if got != test.want {
			t.Errorf("%v: %q, want %q", test.columns, got, test.want)
		}
	}
}

func TestText(t *testing.T) {
	unicode, ascii := newGlyphs(true), newGlyphs(false)
	for in, want := range map[string][2]string{
		"a@b":                {"a@b", "a@b"},
		"müller":             {"müller", `m\xc3\xbcller`},
		"Ελλάς":              {"Ελλάς", `\xce\x95\xce\xbb\xce\xbb\xce\xac\xcf\x82`},
		"e\u0301":            {`e\xcc\x81`, `e\xcc\x81`},       // a combining mark, which has no cell of its own
		"日":                  {`\xe6\x97\xa5`, `\xe6\x97\xa5`}, // two cells
		"שלום"[:2]:           {`\xd7\xa9`, `\xd7\xa9`},         // from right to left
		"\U0001f600":         {`\xf0\x9f\x98\x80`, `\xf0\x9f\x98\x80`},
		"\x1b[31m\x7f\u0085": {`\x1b[31m\x7f\xc2\x85`, `\x1b[31m\x7f\xc2\x85`},
	} {
		if got := [2]string{unicode.clean(in), ascii.clean(in)}; got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for _, test := range []struct {
		width int
		want  string
	}{{10, "abcdefgh"}, {8, "abcdefgh"}, {7, "abc…fgh"}, {4, "ab…h"}, {3, "a…h"}, {2, "ab"}, {0, ""}} {
		if got := unicode.shorten("abcdefgh", test.width); got != test.want {
			t.Errorf("in %d cells %q, want %q", test.width, got, test.want)
		}
	}
	for _, test := range []struct {
		got, want string
	}{
		{rate(math.NaN()), "-"}, {rate(0), "0"}, {rate(0.01), "<0.1"}, {rate(1.26), "1.3"}, {rate(9.96), "10"}, {rate(123456), "123,456"},
		{count(999_999_999), "999,999,999"}, {count(1_234_567_890_123), "1.23T"},
		{percent(0), "0 %"}, {percent(0.001), "<1 %"}, {percent(0.999), "99 %"}, {percent(1), "100 %"},
		{unicode.bar(0, 4), "····"}, {unicode.bar(0.001, 4), "█···"}, {unicode.bar(0.99, 4), "███·"}, {unicode.bar(7, 4), "████"},
		{micros(12), "12 us"}, {micros(1234), "1.2 ms"}, {micros(99_000), "99 ms"}, {micros(2.5e6), "2.5 s"},
		{span(noon(), noon().Add(-time.Hour)), "0s"}, {span(noon(), noon().Add(75*time.Second)), "1m15s"},
		{span(noon(), noon().Add(3*time.Hour+120*time.Second)), "3h02m"}, {span(noon(), noon().Add(50*time.Hour)), "2d2h"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}
