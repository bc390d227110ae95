package live

import (
	"math"
	"time"
)

// keep is how long points are kept. No sparkline shows more: from one number of columns to the next, the step at most
// doubles.
const keep = 2 * least

// point is the number of events between two snapshots.
type point struct {
	from, to time.Time
	n        uint64
}

// grain is the shortest time of a point, and that of the narrowest column. With more frequent updates a point grows
// until it is that long. Otherwise a thousand sources at ten updates a second would take hundreds of megabytes.
const grain = time.Second

// series are the points of one counter, oldest first. A copy is a frozen state: points are appended and dropped but
// never changed, except the growing one, which is a field of the copy.
type series struct {
	points  []point
	growing point // after the points; zero: none
	newest  point // the last point added
}

func (s *series) add(p point) {
	s.newest = p
	if s.growing.to.Equal(p.from) && p.to.Sub(s.growing.from) <= grain {
		s.growing.to, s.growing.n = p.to, s.growing.n+p.n
		return
	}
	if !s.growing.to.IsZero() {
		s.points = append(s.points, s.growing)
	}
	s.growing = p
	old := 0
	for old < len(s.points) && p.to.Sub(s.points[old].to) > keep {
		old++
	}
	s.points = s.points[old:]
}

// last returns the rate per second between the last two snapshots, or NaN if there weren't two.
func (s *series) last() float64 {
	if s.newest.to.IsZero() {
		return math.NaN()
	}
	return s.newest.rate()
}

func (p point) rate() float64 { return float64(p.n) / p.to.Sub(p.from).Seconds() }

// steps are the possible durations of a column.
var steps = [...]time.Duration{
	time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second, 5 * time.Second, 6 * time.Second, 10 * time.Second, 15 * time.Second,
}

// least is the minimum duration of a sparkline, if the steps allow it.
const least = 3 * time.Minute

// step returns the duration of each of this many columns.
func step(columns int) time.Duration {
	for _, s := range steps {
		if s*time.Duration(columns) >= least {
			return s
		}
	}
	return steps[len(steps)-1]
}

// columns returns the rate per second in each of the last n steps, NaN where it is not known. The last step is the
// current one. Steps begin at round times, so that a column keeps its height until it leaves the sparkline. Events
// between two snapshots are spread evenly over the time between them.
func (s *series) columns(now time.Time, n int) []float64 {
	out := make([]float64, n)
	each := step(n)
	begin := now.Truncate(each).Add(-time.Duration(n-1) * each)
	known := make([]float64, n) // seconds of each column
	spread := func(p point) {
		a, b := p.from.Sub(begin), p.to.Sub(begin)
		for i := max(int(a/each), 0); i < n && time.Duration(i)*each < b; i++ {
			overlap := min(b, time.Duration(i+1)*each) - max(a, time.Duration(i)*each)
			if overlap > 0 {
				out[i] += p.rate() * overlap.Seconds()
				known[i] += overlap.Seconds()
			}
		}
	}
	for _, p := range s.points {
		spread(p)
	}
	if !s.growing.to.IsZero() {
		spread(s.growing)
	}
	for i := range out {
		out[i] /= known[i] // 0/0 is NaN
	}
	return out
}

// peak returns the highest of the columns, or NaN if none is known.
func peak(columns []float64) float64 {
	top := math.NaN()
	for _, v := range columns {
		if !math.IsNaN(v) && !(v <= top) {
			top = v
		}
	}
	return top
}

// spark draws columns into height rows, the lowest of which is y. Every nonzero value is visible. The highest one leaves
// a little of its cell empty, so that the graph doesn't touch what is above it.
func (f *Frame) spark(x, y, height int, columns []float64, style Style) {
	top := peak(columns)
	levels := len(f.glyphs.spark)
	highest := levels * height
	if !f.glyphs.ascii { // the highest block fills its cell
		highest--
	}
	for i, v := range columns {
		switch {
		case math.IsNaN(v):
			continue
		case v == 0:
			f.set(x+i, y, f.glyphs.zero, Faint)
			continue
		}
		level := max(int(math.Ceil(v/top*float64(highest))), 1)
		for row := 0; row < height && level > 0; row++ {
			f.set(x+i, y-row, f.glyphs.spark[min(level, levels)-1], style)
			level -= levels
		}
	}
}
