package live

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/watch/control"
)

// drawFoot draws the last row: the keys, or the input line.
func (m *Model) drawFoot(f *Frame) {
	y := f.Height - 1
	if p := m.prompt; p != nil {
		x := f.put(0, y, f.Width, Strong, "Call-ID: ")
		text := []rune(m.glyphs.clean(string(p.text)))
		if room := f.Width - x - 1; len(text) > room { // show the end, where the user types
			text = append([]rune{m.glyphs.ellipsis}, text[len(text)-room+1:]...)
		}
		f.CursorX, f.CursorY = f.put(x, y, f.Width, Plain, string(text)), y
		return
	}
	keys := [][2]string{
		{"?", "help"}, {"/", "call"}, {"Tab", "table"}, {"s", "sort"}, {"r", "reverse"}, {"p", "pause"}, {"q", "quit"},
	}
	switch m.page {
	case callPage:
		keys = [][2]string{{"Esc", "back"}, {"/", "other call"}, {"Up Down", "scroll"}, {"p", "pause"}, {"q", "quit"}}
	case helpPage:
		keys = [][2]string{{"any key", "back"}, {"q", "quit"}}
	}
	x := 0
	for _, k := range keys {
		if x+cells(k[0])+1+cells(k[1]) > f.Width {
			break
		}
		x = f.put(x, y, f.Width, Strong, k[0])
		x = f.put(x+1, y, f.Width, Faint, k[1]) + 2
	}
}

// helpText is the help page, with the keys first.
var helpText = [...][2]string{
	{"q, Ctrl-C", "quit"},
	{"/", "type a Call-ID to see its dialogs; Up recalls the last one"},
	{"Tab", "sources or backups: choose the table for the next keys"},
	{"s, S", "sort by the next or the previous column"},
	{"r", "reverse the order"},
	{"Up, Down, k, j", "scroll by one; PgUp, PgDn by a page; Home, End"},
	{"p, Space", "pause; data goes on being collected"},
	{"Ctrl-L", "draw everything again"},
	{"", ""},
	{"READY", "sources send, and nothing was lost in the last minute"},
	{"IDLE", "no source has been seen yet"},
	{"STALE", "a source that was sending is silent, or a node is down"},
	{"INCOMPLETE", "no sync of a cluster could be completed"},
	{"LOSING", "something was lost in the last minute; red shows what"},
	{"NO ANSWER", "the appliance doesn't answer; the data shown has that age"},
	{"losses", "of packets here, and of events on the way to backups"},
	{"memory", "of the table; \"full in\": time left at the current growth"},
	{"latency", "from the kernel's receipt to the table, since the start"},
	{"rings", "how full they are now, and at most since the start"},
	{"CLOCK, HELD", "how far ahead of ours; held back to protect OpenSIPS"},
}

func (m *Model) drawHelp(f *Frame, y, bottom int) {
	y++
	from, to := m.help.fit(len(helpText), bottom-y)
	for _, line := range helpText[from:to] {
		f.put(0, y, 16, Strong, line[0])
		f.put(16, y, f.Width, Plain, line[1])
		y++
	}
}

// line is one row of the page of a call: a label and a value, or a title.
type line struct {
	label, value string
	style        Style
}

// drawCall draws the dialogs of a Call-ID. Values are shown completely, on as many rows as they need.
func (m *Model) drawCall(f *Frame, y, bottom int, now time.Time) {
	c := &m.call
	y = f.wrap(0, y, f.Width, 3, Strong, "Call-ID "+m.glyphs.clean(c.id))
	state := part{Plain, "looking it up"}
	switch {
	case c.err != nil:
		state = part{Bad, c.err.Error()}
	case c.at.IsZero():
	case c.seen.IsZero():
		state = part{Warning, "no dialog has this Call-ID"}
	case c.seen.Before(c.at):
		state = part{Warning, fmt.Sprintf("no longer in the table; last seen %s ago", span(c.seen, c.at))}
	case len(c.dialogs) == 1:
		state = part{Good, "1 dialog"}
	default:
		state = part{Good, fmt.Sprintf("%d dialogs", len(c.dialogs))}
	}
	f.parts(0, y, []part{state})
	y++
	var rows []line
	for i := range c.dialogs {
		rows = append(rows, m.describe(&c.dialogs[i], now)...)
	}
	const indent = 18
	folded := make([]line, 0, len(rows))
	for _, row := range rows {
		value := []rune(m.glyphs.clean(row.value))
		for first := true; first || len(value) > 0; first = false {
			n := min(len(value), max(f.Width-indent, 1))
			l := line{value: string(value[:n]), style: row.style}
			if first {
				l.label = row.label
			}
			folded, value = append(folded, l), value[n:]
		}
	}
	from, to := c.fit(len(folded), bottom-y)
	if to-from < len(folded) {
		text := fmt.Sprintf("rows %d-%d of %d", from+1, to, len(folded))
		f.put(f.Width-cells(text), y-1, f.Width, Faint, text)
	}
	for _, l := range folded[from:to] {
		f.put(0, y, indent-1, Faint, l.label)
		f.put(indent, y, f.Width, l.style, l.value)
		y++
	}
}

// describe lists the fields of a dialog.
func (m *Model) describe(d *control.Dialog, now time.Time) []line {
	moment := func(unix uint32, ago bool) string {
		if unix == 0 {
			return "-"
		}
		t := time.Unix(int64(unix), 0).In(now.Location())
		if ago {
			return t.Format(time.DateTime) + ", " + span(t, now) + " ago"
		}
		if t.Before(now) {
			return t.Format(time.DateTime) + ", expired for " + span(t, now)
		}
		return t.Format(time.DateTime) + ", in " + span(now, t)
	}
	rows := []line{
		{"", "", Plain},
		{"state", dialog.State(d.State).String(), Strong},
		{"from", string(d.FromURI), Plain}, {"to", string(d.ToURI), Plain},
		{"started", moment(d.Start, true), Plain}, {"timeout", moment(d.Timeout, false), Plain},
		{"last change", moment(d.Updated, true) + ", from " + d.Origin, Plain},
		{"caller tag", string(d.CallerTag), Plain}, {"caller contact", string(d.CallerContact), Plain},
		{"caller route set", string(d.CallerRouteSet), Plain}, {"caller socket", string(d.CallerSocket), Plain},
		{"callee CSeq", string(d.CalleeCSeq), Plain},
	}
	for _, c := range d.Callees {
		rows = append(rows,
			line{"callee tag", string(c.Tag), Plain}, line{"callee contact", string(c.Contact), Plain},
			line{"callee route set", string(c.RouteSet), Plain}, line{"callee socket", string(c.Socket), Plain},
			line{"caller CSeq", string(c.CallerCSeq), Plain})
	}
	rows = append(rows, line{"flags", fmt.Sprintf("%#x, user's %s, h_id %d", d.Flags, d.UserFlags, d.HID), Plain})
	if d.MangledFrom != "" {
		rows = append(rows, line{"mangled from", string(d.MangledFrom), Plain})
	}
	if d.MangledTo != "" {
		rows = append(rows, line{"mangled to", string(d.MangledTo), Plain})
	}
	names := make([]string, 0, len(d.Vars))
	for name := range d.Vars {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		rows = append(rows, line{"variable", name + " = " + string(d.Vars[name]), Plain})
	}
	for _, p := range d.Profiles {
		text := string(p.Name)
		if p.Value != "" {
			text += " = " + string(p.Value)
		}
		rows = append(rows, line{"profile", text, Plain})
	}
	if d.RawVars != "" {
		rows = append(rows, line{"variables, raw", string(d.RawVars), Warning})
	}
	if d.RawProfiles != "" {
		rows = append(rows, line{"profiles, raw", string(d.RawProfiles), Warning})
	}
	return rows
}

// compareDialogs orders the dialogs of a Call-ID by start and tags.
func compareDialogs(a, b *control.Dialog) int {
	tag := func(d *control.Dialog) control.Text {
		if len(d.Callees) == 0 {
			return ""
		}
		return d.Callees[0].Tag
	}
	return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.CallerTag, b.CallerTag), cmp.Compare(tag(a), tag(b)))
}
