package live

import (
	"fmt"
	"math"
	"slices"
	"time"

	"binrepd/userspace/watch/control"
)

// recent is how long a loss is shown in red after it grew. It affects the word for the same time.
const recent = time.Minute

// graphX is the column where the sparklines of rates begin.
const graphX = 32

// drawRates draws the events and losses a second.
func (f *Frame) drawRates(y, room int, d *data) int {
	height := 1
	if room >= taller {
		height = 3
	} else if room >= tall {
		height = 2
	}
	width := min(f.Width-graphX, int(keep/steps[0]))
	if width < leastGraph {
		width = 0
	}
	f.put(0, y, graphX, Faint, fmt.Sprintf("%-*s%9s%11s", labels, "a second", "now", "peak"))
	if width > 0 {
		f.put(graphX, y, f.Width, Faint, "last "+spell(step(width), width))
	}
	y++
	for i, row := range []struct {
		name  string
		of    *series
		style Style
	}{{"creates", &d.events[0], Line}, {"updates", &d.events[1], Line}, {"deletes", &d.events[2], Line}, {"losses", &d.lost, Bad}} {
		rows := height
		if i == 3 {
			rows = 1
		}
		low := y + rows - 1
		columns := row.of.columns(d.at, max(width, 1))
		now, top := row.of.last(), peak(columns)
		style := Strong
		if row.style == Bad && now > 0 {
			style = Bad
		}
		f.label(low, row.name)
		f.put(labels, low, graphX, style, fmt.Sprintf("%9s", rate(now)))
		// The last rate may be above the mean of its column.
		if !math.IsNaN(now) && !(top >= now) {
			top = now
		}
		f.put(labels+9, low, graphX, Plain, fmt.Sprintf("%11s", rate(top)))
		if width > 0 {
			f.spark(graphX, low, rows, columns, row.style)
		}
		y += rows
	}
	return y
}

// spell formats the duration of n columns.
func spell(each time.Duration, n int) string {
	d := each * time.Duration(n)
	if d < 2*time.Minute {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
}

// drawLosses draws lost and rejected datagrams by reason.
func (f *Frame) drawLosses(y int, d *data) int {
	losses := d.status.Losses()
	parts := []part{}
	names := reasons(losses)
	growing := func(name string) bool { return !d.grew[name].IsZero() && d.at.Sub(d.grew[name]) < recent }
	// Growing losses come first, so that there is room for them.
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case growing(a) && !growing(b):
			return -1
		case growing(b) && !growing(a):
			return 1
		}
		return 0
	})
	for _, name := range names {
		p := part{Plain, count(losses[name]) + " " + name}
		if growing(name) {
			p.style = Bad
		}
		parts = append(parts, p)
	}
	if len(parts) == 0 {
		parts = append(parts, part{Good, "nothing"})
	}
	f.label(y, "lost")
	f.parts(labels, y, parts)
	y++
	if rejected := reasons(d.status.Rejected); len(rejected) > 0 {
		parts = parts[:0]
		for _, name := range rejected {
			parts = append(parts, part{Plain, count(d.status.Rejected[name]) + " " + name})
		}
		f.label(y, "rejected")
		f.parts(labels, y, parts)
		y++
	}
	return y
}

// drawRings draws how full the rings are. If there isn't room for all, it draws the fullest.
func (f *Frame) drawRings(y, room int, d *data) int {
	rings := d.status.Rings
	if len(rings) == 0 {
		f.label(y, "rings")
		f.put(labels, y, f.Width, Faint, "none: packets come through sockets")
		return y + 1
	}
	const place = 33
	columns := max((f.Width-labels+2)/place, 1)
	rows := 1
	switch {
	case room >= taller:
		rows = 8
	case room >= tall:
		rows = 4
	}
	order := make([]int, len(rings))
	for i := range order {
		order[i] = i
	}
	share := func(n, size uint64) float64 { return float64(n) / math.Max(float64(size), 1) }
	label := "rings"
	if len(order) > rows*columns {
		label = fmt.Sprintf("of %d", len(rings))
		slices.SortStableFunc(order, func(a, b int) int {
			x, y := share(rings[a].HighWater, rings[a].Size), share(rings[b].HighWater, rings[b].Size)
			switch {
			case x > y:
				return -1
			case x < y:
				return 1
			}
			return 0
		})
		order = order[:rows*columns]
		slices.Sort(order)
	}
	f.label(y, label)
	for i, n := range order {
		r := &rings[n]
		x, at := labels+i%columns*place, y+i/columns
		fill, high := share(r.Fill, r.Size), share(r.HighWater, r.Size)
		x = f.put(x, at, f.Width, Faint, fmt.Sprintf("%2d ", n))
		x = f.put(x, at, f.Width, level(fill), fmt.Sprintf("%s %5s", f.glyphs.bar(fill, 10), percent(fill)))
		x = f.put(x, at, f.Width, level(high), fmt.Sprintf(" high %5s", percent(high)))
		if r.Refused > 0 || r.LateWakeups > 0 {
			f.put(x, at, f.Width, Bad, "!")
		}
	}
	return y + (len(order)+columns-1)/columns
}

// drawTables divides the rows from y to bottom among the sources, the backups and the syncs.
func (m *Model) drawTables(f *Frame, d *data, y, bottom int) {
	syncs := d.status.Syncs
	room := bottom - y
	// Syncs are few, and an operator waits for them.
	lines := min(len(syncs), max(room/4, 1))
	if m.whole {
		lines = len(syncs)
	}
	room -= lines
	sources, backups := &m.tables[0], &m.tables[1]
	need := [2]int{sources.height(d), backups.height(d)}
	gap := 0
	if room >= need[0]+need[1]+1 && room > leastY {
		gap = 1
	}
	give := [2]int{need[0], room - gap - need[0]}
	if need[0]+need[1]+gap > room {
		// Each table gets half, and what the other one leaves. Of an odd number, the focused one gets the extra row.
		half := room / 2
		if m.focus == 0 {
			half = room - half
		}
		give[0] = min(need[0], max(half, room-need[1]))
		give[1] = room - give[0]
	}
	sources.draw(f, d, y, give[0], m.focus == 0)
	backups.draw(f, d, y+give[0]+gap, min(give[1], need[1]), m.focus == 1)
	for i := range lines {
		f.drawSync(bottom-lines+i, &syncs[i])
	}
}

func (f *Frame) drawSync(y int, s *control.SyncStatus) {
	share := float64(s.Visited) / math.Max(float64(s.Total), 1)
	parts := []part{
		{Strong, "sync to " + s.To}, {Line, f.glyphs.bar(share, 10)}, {Plain, percent(min(share, 1))},
		{Plain, fmt.Sprintf("pass %d of %d", s.Pass, s.Passes)}, {Plain, count(s.Packets) + " packets"},
	}
	if s.Remaining > 0 {
		parts = append(parts, part{Plain, (time.Duration(s.Remaining) * time.Second).String() + " left"})
	}
	f.parts(0, y, parts)
}
