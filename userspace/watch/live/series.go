package live

import (
	"math"
	"time"
)

// keep is how long points are remembered. No sparkline shows more: the step doubles at most where one more column is missing.
const keep = 2 * least

// point tells how many events there were between two snapshots.
type point struct {
	from, to time.Time
	n        uint64
}

// grain is the shortest time that a point stands for, that of the narrowest column. Asked more often, a point grows until it is as long:
// else a thousand sources, ten times a second, would take hundreds of megabytes.
const grain = time.Second

// series are the points of one counter, oldest first. To copy one is to freeze it: points are appended and dropped, and none is
// changed but the growing one, which each copy has for itself.
type series struct {
	points  []point
	growing point // behind them; zero: none
	newest  point // what was added last
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

// last returns the number a second between the last two snapshots, NaN if there weren't two.
func (s *series) last() float64 {
	if s.newest.to.IsZero() {
		return math.NaN()
	}
	return s.newest.rate()
}

func (p point) rate() float64 { return float64(p.n) / p.to.Sub(p.from).Seconds() }

// steps are the times that a column may stand for.
var steps = [...]time.Duration{
	time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second, 5 * time.Second, 6 * time.Second, 10 * time.Second, 15 * time.Second,
}

// least is what a sparkline shows at least, if that is possible with the steps.
const least = 3 * time.Minute

// step is the time that each of so many columns stands for.
func step(columns int) time.Duration {
	for _, s := range steps {
		if s*time.Duration(columns) >= least {
			return s
		}
	}
	return steps[len(steps)-1]
}

// columns returns the number a second in each of the last n steps, NaN where nothing is known. The last step is the one under way.
// Steps begin at round times, so that a column keeps its height until it goes. What happened between two snapshots is spread evenly
// over the time between them.
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

// peak returns the highest of the columns, NaN if none is known.
func peak(columns []float64) float64 {
	top := math.NaN()
	for _, v := range columns {
		if !math.IsNaN(v) && !(v <= top) {
			top = v
		}
	}
	return top
}

// spark draws columns into height rows whose lowest is y. Whatever isn't zero can be seen.
func (f *Frame) spark(x, y, height int, columns []float64, style Style) {
	top := peak(columns)
	levels := len(f.glyphs.spark)
	for i, v := range columns {
		switch {
		case math.IsNaN(v):
			continue
		case v == 0:
			f.set(x+i, y, f.glyphs.zero, Faint)
			continue
		}
		level := max(int(math.Ceil(v/top*float64(levels*height))), 1)
		for row := 0; row < height && level > 0; row++ {
			f.set(x+i, y-row, f.glyphs.spark[min(level, levels)-1], style)
			level -= levels
		}
	}
}
