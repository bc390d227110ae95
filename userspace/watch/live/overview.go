package live

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"binrepd/userspace/watch/control"
)

// From these heights on there is room for more than the minimum.
const (
	tall    = 32
	taller  = 45
	labels  = 10 // cells of the labels at the left
	leastX  = 40 // a smaller terminal shows only the word
	leastY  = 12
	barSize = 20
)

// Frame draws the view. It also records how many rows fit, for the keys that scroll.
func (m *Model) Frame(width, height int, now time.Time) *Frame {
	if m.whole {
		height = m.rows()
	}
	f := newFrame(width, height, m.glyphs)
	d := m.shown()
	y := m.drawHead(f, d, now)
	if width < leastX || height < leastY {
		f.put(0, height-1, width, Faint, fmt.Sprintf("%dx%d is too small: at least %dx%d", width, height, leastX, leastY))
		return f
	}
	bottom := height
	if !m.whole {
		bottom--
		m.drawFoot(f)
	}
	switch m.page {
	case helpPage:
		m.drawHelp(f, y, bottom)
	case callPage:
		m.drawCall(f, y, bottom, now)
	default:
		m.drawOverview(f, d, y, bottom)
	}
	if m.err != nil && m.page == overview {
		for i := y * width; i < bottom*width; i++ { // the data is outdated
			if c := &f.cells[i]; c.Style != Heading && c.Style != Focused {
				c.Style = Faint
			}
		}
	}
	return f
}

// rows returns how many rows everything needs if there is no limit.
func (m *Model) rows() int {
	d := m.shown()
	n := tall + len(d.status.Rings) + len(d.status.Syncs)
	for i := range m.tables {
		n += m.tables[i].height(d) + 1
	}
	return n
}

// drawHead draws the overall state and returns the next row.
func (m *Model) drawHead(f *Frame, d *data, now time.Time) int {
	word, reason, style := string(d.status.Word), d.status.Reason, Alarm
	switch d.status.Word {
	case control.Ready:
		style = Good
		if len(d.status.Problems) > 0 {
			style = Warning
		}
	case control.Idle:
		style = Warning
	case control.Stale, control.Incomplete:
		style = Warning
	}
	if m.err != nil {
		word, style = "NO ANSWER", Alarm
		reason = fmt.Sprintf("for %s: %v", span(m.failing, now), m.err)
	} else if d.at.IsZero() {
		word, style = "...", Faint
	}
	word = m.glyphs.clean(word)
	clock := ""
	if !d.at.IsZero() {
		clock = d.at.Format("15:04:05")
	}
	mark := ""
	if m.frozen != nil {
		mark = "PAUSED "
	}
	if m.err != nil && !d.at.IsZero() {
		mark += fmt.Sprintf("data is %s old, from ", span(d.at, now))
	}
	right := f.Width - cells(mark+clock)
	f.put(f.put(right, 0, f.Width, Warning, mark), 0, f.Width, Faint, clock)

	x := 0
	if style == Alarm {
		x = f.put(x, 0, right, style, " "+word+" ") + 1
	} else {
		x = f.put(x, 0, right, style, word) + 2
	}
	y := 1
	// The reason is shown completely, on its own rows if necessary.
	if reason = m.glyphs.clean(reason); x+cells(reason) < right {
		f.put(x, 0, right-1, Strong, reason)
	} else if f.Height >= leastY {
		y = f.wrap(0, y, f.Width, 2, Strong, reason)
	}
	if d.at.IsZero() || f.Height < leastY {
		return y
	}
	s := &d.status
	parts := []part{{Plain, s.Mode}}
	if s.FallbackReason != "" {
		parts[0].style = Warning
	}
	for _, i := range s.Interfaces {
		parts = append(parts, interfacePart(&i))
	}
	parts = append(parts, part{Faint, "binrepd " + s.Version}, part{Faint, fmt.Sprintf("process %d", s.PID)}, part{Faint, "up " + span(s.Started, d.at)})
	f.parts(0, y, parts)
	y++
	return f.notes(y, d)
}

// interfacePart is an interface with the state of its link.
func interfacePart(i *control.InterfaceStatus) part {
	switch i.Link {
	case "":
		return part{Faint, i.Name}
	case control.LinkUp:
		return part{Faint, i.Name + " up"}
	}
	return part{Bad, i.Name + " " + i.Link}
}

// mostProblems is how many problems a low terminal shows before it says how many more there are.
const mostProblems = 4

// notes draws the problems, and what no counter shows, and returns the next row.
func (f *Frame) notes(y int, d *data) int {
	s := &d.status
	for i, p := range s.Problems {
		if left := len(s.Problems) - i; i == mostProblems && left > 1 && f.Height < taller {
			y = f.wrap(0, y, f.Width, 1, Warning, fmt.Sprintf("but %d more: see binrepd status", left))
			break
		}
		style := Bad
		if p.Code == control.Fallback || p.Code == control.RestartLost {
			style = Warning
		}
		y = f.wrap(0, y, f.Width, 2, style, f.glyphs.clean("but "+p.Text))
	}
	if r := s.Record; r != nil && r.Error == "" {
		if dropped := total(r.Dropped); dropped > 0 {
			y = f.wrap(0, y, f.Width, 1, Warning, f.glyphs.clean(fmt.Sprintf("the recording misses %s datagrams: %s", count(dropped), strings.Join(reasons(r.Dropped), ", "))))
		}
	}
	for _, l := range s.Listeners {
		if l.Hint != "" {
			y = f.wrap(0, y, f.Width, 2, Warning, f.glyphs.clean(l.Address+": "+l.Hint))
		}
	}
	if s.Pin != nil && s.Pin.Unsaved+s.Pin.Overflowed > 0 {
		y = f.wrap(0, y, f.Width, 1, Warning, fmt.Sprintf("the previous process lost at most %s events applied after its last save, and %s that overflowed",
			count(s.Pin.Unsaved), count(s.Pin.Overflowed)))
	}
	if math.Abs(s.ClockAhead) >= 1 {
		y = f.wrap(0, y, f.Width, 1, Warning, fmt.Sprintf("the wall clock has jumped: it differs by %+.0f s from the clock used for expiry", s.ClockAhead))
	}
	return y
}

// part is a piece of a line.
type part struct {
	style Style
	text  string
}

// parts writes pieces with two spaces between them. Pieces that don't fit are left out.
func (f *Frame) parts(x, y int, parts []part) {
	for i, p := range parts {
		text := f.glyphs.clean(p.text)
		if i > 0 {
			if x+2+cells(text) > f.Width {
				continue
			}
			x += 2
		}
		x = f.put(x, y, f.Width, p.style, text)
	}
}

// wrap writes text into at most this many rows and returns the next row.
func (f *Frame) wrap(x, y, end, rows int, s Style, text string) int {
	for ; rows > 1 && cells(text) > end-x; rows-- {
		r := []rune(text)
		n := end - x
		if at := strings.LastIndexByte(string(r[:n+1]), ' '); at > n/2 {
			n = len([]rune(string(r[:n+1])[:at]))
		}
		f.put(x, y, end, s, string(r[:n]))
		text = strings.TrimLeft(string(r[n:]), " ")
		y++
	}
	f.put(x, y, end, s, text)
	return y + 1
}

// drawOverview draws the overview into the rows from y to bottom.
func (m *Model) drawOverview(f *Frame, d *data, y, bottom int) {
	if d.at.IsZero() {
		return
	}
	room := bottom - y
	if room >= tall {
		y++
	}
	y = f.drawTable(y, d)
	if room >= tall {
		y = f.drawAccount(y, d) + 1
	}
	y = f.drawRates(y, room, d)
	y = f.drawLosses(y, d)
	f.label(y, "latency")
	l, window := &d.status.LatencyRecent, time.Duration(d.status.LatencyWindow*float64(time.Second)).Round(time.Second)
	f.parts(labels, y, []part{
		{Plain, "p50 " + micros(l.P50)}, {Plain, "p99 " + micros(l.P99)}, {Plain, "p99.9 " + micros(l.P999)}, {Plain, "max " + micros(l.Max)},
		{Faint, "last " + window.String()}, {Faint, "max since the start " + micros(d.status.Latency.Max)},
	})
	y = f.drawRings(y+1, room, d)
	if room >= tall {
		y++
	}
	m.drawTables(f, d, y, bottom)
}

func (f *Frame) label(y int, text string) { f.put(0, y, labels-1, Faint, text) }

// drawTable draws how full the table of dialogs is.
func (f *Frame) drawTable(y int, d *data) int {
	s := &d.status
	f.label(y, "dialogs")
	f.parts(labels, y, []part{
		{Strong, count(s.Dialogs) + " live"}, {Plain, count(s.Confirmed) + " confirmed"}, {Plain, count(s.Answered) + " answered"},
		{Plain, count(s.Early) + " early"}, {Faint, count(s.Tombstones) + " ended"},
	})
	y++
	f.label(y, "memory")
	share := float64(s.Memory.Used) / math.Max(float64(s.Memory.Limit), 1)
	of := humanize.IBytes(s.Memory.Used) + " of " + humanize.IBytes(s.Memory.Limit)
	if s.MaxDialogs > 0 {
		if full := float64(s.Dialogs+s.Early) / float64(s.MaxDialogs); full > share {
			share, of = full, count(s.Dialogs+s.Early)+" of "+count(s.MaxDialogs)+" dialogs"
		}
	}
	parts := []part{{level(share), f.glyphs.bar(share, barSize)}, {level(share), percent(share)}, {Plain, of}}
	if s.FullIn != nil && *s.FullIn < (30*24*time.Hour).Seconds() { // more than a month is not shown
		at := time.Duration(*s.FullIn * float64(time.Second))
		p := part{Warning, "full in " + span(d.at, d.at.Add(at))}
		if at < time.Hour {
			p.style = Bad
		}
		if at == 0 {
			p.text = "FULL"
		}
		parts = append(parts[:2:2], p, parts[2])
	}
	f.parts(labels, y, parts)
	return y + 1
}

// level returns the style for a fill level.
func level(share float64) Style {
	switch {
	case share >= 0.9:
		return Bad
	case share >= 0.7:
		return Warning
	}
	return Line
}

// drawAccount draws the outcomes of all datagrams.
func (f *Frame) drawAccount(y int, d *data) int {
	s := &d.status
	f.label(y, "account")
	parts := []part{{Plain, count(s.Seen) + " seen:"}, {Plain, count(s.Applied) + " applied"}}
	for _, p := range []struct {
		name string
		n    uint64
	}{
		{"recovered", s.Recovered}, {"duplicate", s.Duplicate}, {"stale", s.Stale}, {"late", s.Late}, {"unknown", s.Unknown},
		{"other capability", s.OtherCapability}, {"rejected", total(s.Rejected)}, {"lost", total(s.Lost)}, {"expired", s.Expired.Live},
	} {
		if p.n > 0 {
			parts = append(parts, part{Plain, count(p.n) + " " + p.name})
		}
	}
	f.parts(labels, y, parts)
	return y + 1
}
