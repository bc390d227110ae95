package live

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"binrepd/userspace/watch/control"
)

// column is one column of a table whose rows are indexes into a list.
type column struct {
	name string
	// text returns the text of a row, and its style.
	text func(d *data, g *glyphs, row int) (string, Style)
	// compare orders two rows.
	compare func(d *data, a, b int) int
	left    bool // the text is left-aligned
	// min is the width down to which a long text may be shortened in its middle; 0: it is never shortened.
	min int
	// spare columns are left out if there is no room, the highest number first; 0: never.
	spare int
	// wide columns are shown only if the frame is at least this wide and some row has text for them.
	wide int
}

// table is one of the lists of the overview.
type table struct {
	scroller
	name       string
	columns    []column
	rows       func(d *data) int
	graph      func(d *data, row int) *series
	sort       int
	descending bool
}

// sortBy sorts by the next or the previous column. Numbers are sorted highest first.
func (t *table) sortBy(step int) {
	t.sort = (t.sort + step + len(t.columns)) % len(t.columns)
	t.descending = !t.columns[t.sort].left
}

// order returns the rows in order. Equal rows are ordered by the first column, so that they keep their places.
func (t *table) order(d *data) []int {
	rows := make([]int, t.rows(d))
	for i := range rows {
		rows[i] = i
	}
	slices.SortStableFunc(rows, func(a, b int) int {
		c := t.columns[t.sort].compare(d, a, b)
		if t.descending {
			c = -c
		}
		if c == 0 {
			c = t.columns[0].compare(d, a, b)
		}
		return c
	})
	return rows
}

// leastGraph is the minimum width of a sparkline in a row.
const leastGraph = 12

// laid is a column with its width.
type laid struct {
	*column
	index, width int
}

// lay chooses columns and their widths for rows of width cells. The rest goes to the graph.
func (t *table) lay(d *data, g *glyphs, rows []int, title string, width int) (columns []laid, graph int) {
	for i := range t.columns {
		c := &t.columns[i]
		if width < c.wide {
			continue
		}
		name := c.name
		if i == 0 {
			name = title
		}
		w := cells(name) + 1 // includes the sort mark
		longest := 0
		for _, row := range rows {
			text, _ := c.text(d, g, row)
			longest = max(longest, cells(text))
		}
		if c.wide > 0 && longest == 0 {
			continue
		}
		columns = append(columns, laid{c, i, max(w, longest)})
	}
	need := func() int {
		n := 2 * (len(columns) - 1)
		for _, c := range columns {
			n += c.width
		}
		return n
	}
	for i := range columns {
		if c := &columns[i]; c.min > 0 && need() > width {
			c.width = min(c.width, max(c.width-(need()-width), c.min))
		}
	}
	for need() > width {
		drop := -1
		for i, c := range columns {
			if c.spare > 0 && (drop < 0 || c.spare > columns[drop].spare) {
				drop = i
			}
		}
		if drop < 0 {
			break
		}
		columns = slices.Delete(columns, drop, drop+1)
	}
	if left := width - need() - 2; left >= leastGraph {
		graph = min(left, int(keep/steps[0]))
	}
	return columns, graph
}

// height returns how many rows the table needs: its head, and at least one more.
func (t *table) height(d *data) int { return 1 + max(t.rows(d), 1) }

// draw draws the table into height rows from y on.
func (t *table) draw(f *Frame, d *data, y, height int, focused bool) {
	if height < 1 {
		return
	}
	rows := t.order(d)
	from, to := t.fit(len(rows), height-1)
	title := fmt.Sprintf("%s (%d)", t.columns[0].name, len(rows))
	if to-from < len(rows) {
		title = fmt.Sprintf("%s (%d-%d of %d)", t.columns[0].name, from+1, to, len(rows))
	}
	columns, graph := t.lay(d, f.glyphs, rows, title, f.Width)

	style := Heading
	if focused {
		style = Focused
	}
	f.fill(0, y, f.Width, style)
	x := 0
	for _, c := range columns {
		name := c.name
		if c.index == 0 {
			name = title
		}
		if c.index == t.sort {
			mark := f.glyphs.up
			if t.descending {
				mark = f.glyphs.down
			}
			name += string(mark)
		}
		f.aligned(x, y, c, style, name)
		x += c.width + 2
	}
	if graph > 0 {
		f.put(x, y, x+graph, style, "LAST "+strings.ToUpper(spell(step(graph), graph)))
	}
	if len(rows) == 0 {
		f.put(0, y+1, f.Width, Faint, "none")
	}
	for i, row := range rows[from:to] {
		x := 0
		for _, c := range columns {
			text, style := c.text(d, f.glyphs, row)
			f.aligned(x, y+1+i, c, style, text)
			x += c.width + 2
		}
		if graph > 0 {
			f.spark(x, y+1+i, 1, t.graph(d, row).columns(d.at, graph), Line)
		}
	}
}

// aligned writes a cell of a table.
func (f *Frame) aligned(x, y int, c laid, s Style, text string) {
	if c.min > 0 {
		text = f.glyphs.shorten(text, c.width)
	}
	if !c.left {
		x += max(c.width-cells(text), 0)
		f.put(x, y, x+cells(text), s, text)
		return
	}
	f.put(x, y, x+c.width, s, text)
}

// byNumber returns a comparison of the results of of. NaN is less than every number.
func byNumber(of func(d *data, row int) float64) func(d *data, a, b int) int {
	return func(d *data, a, b int) int {
		x, y := of(d, a), of(d, b)
		switch {
		case math.IsNaN(x) && math.IsNaN(y), x == y:
			return 0
		case math.IsNaN(x), x < y:
			return -1
		}
		return 1
	}
}

// counter returns a column for a counter. It is red for a loss that isn't zero.
func counter(name string, spare int, loss bool, of func(s *control.Status, row int) uint64) column {
	return column{
		name: name, spare: spare,
		text: func(d *data, _ *glyphs, row int) (string, Style) {
			n := of(&d.status, row)
			if n > 0 && loss {
				return count(n), Bad
			}
			return count(n), Plain
		},
		compare: byNumber(func(d *data, row int) float64 { return float64(of(&d.status, row)) }),
	}
}
