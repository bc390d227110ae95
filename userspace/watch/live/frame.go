package live

import (
	"fmt"
	"strings"
	"unicode"
)

// Style is the meaning of a piece of text. The output decides how it looks.
type Style uint8

const (
	Plain   Style = iota
	Faint         // labels, and outdated values
	Strong        // the most important numbers
	Good          // all is well
	Warning       // look at it
	Bad           // something is lost
	Alarm         // the same, as a word on a coloured background
	Line          // bars and sparklines
	Heading       // the head of a table
	Focused       // the head of the table that the keys control
	styles
)

// Cell is one character of a Frame.
type Cell struct {
	Rune  rune
	Style Style
}

// Frame is one image of the view: rows of cells, with one rune per cell.
type Frame struct {
	Width, Height int
	// CursorX and CursorY are where text is typed; negative if no text is typed.
	CursorX, CursorY int

	glyphs *glyphs
	cells  []Cell
}

func newFrame(width, height int, g *glyphs) *Frame {
	f := &Frame{Width: max(width, 0), Height: max(height, 0), CursorX: -1, CursorY: -1, glyphs: g}
	f.cells = make([]Cell, f.Width*f.Height)
	for i := range f.cells {
		f.cells[i].Rune = ' '
	}
	return f
}

// At returns the cell in column x of row y, both from 0.
func (f *Frame) At(x, y int) Cell { return f.cells[y*f.Width+x] }

func (f *Frame) set(x, y int, r rune, s Style) {
	if x >= 0 && x < f.Width && y >= 0 && y < f.Height {
		f.cells[y*f.Width+x] = Cell{r, s}
	}
}

// fill sets the style of a part of a row.
func (f *Frame) fill(x, y, end int, s Style) {
	for ; x < end; x++ {
		f.set(x, y, ' ', s)
	}
}

// put writes text from column x up to end, and returns the column after it. If the text doesn't fit, it is cut and the
// cut is marked. This is the only way for text into a frame. It accepts only printable runes that are one cell wide, so
// nothing from the wire can control the terminal.
func (f *Frame) put(x, y, end int, s Style, text string) int {
	end = min(end, f.Width)
	for i, r := range text {
		if x >= end {
			if i > 0 && end > 0 {
				f.set(end-1, y, f.glyphs.ellipsis, s)
			}
			return end
		}
		if !f.glyphs.shows(r) {
			r = '?'
		}
		f.set(x, y, r, s)
		x++
	}
	return x
}

// Text returns the frame as lines without colours, spaces at their ends, and empty lines at the end.
func (f *Frame) Text() string { return f.render(func(Style) string { return "" }) }

// ANSI returns the same with colour escape sequences.
func (f *Frame) ANSI() string { return f.render(sgr) }

func (f *Frame) render(code func(Style) string) string {
	var out strings.Builder
	for y := range f.Height {
		row := f.cells[y*f.Width : (y+1)*f.Width]
		n := len(row)
		for n > 0 && row[n-1].Rune == ' ' && code(row[n-1].Style) == "" {
			n--
		}
		now := ""
		for _, c := range row[:n] {
			if next := code(c.Style); next != now {
				if now != "" {
					out.WriteString("\x1b[m")
				}
				if next != "" {
					fmt.Fprintf(&out, "\x1b[%sm", next)
				}
				now = next
			}
			out.WriteRune(c.Rune)
		}
		if now != "" {
			out.WriteString("\x1b[m")
		}
		out.WriteByte('\n')
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// sgr returns the parameter of ECMA-48's SELECT GRAPHIC RENDITION for a style. It uses only the eight basic colours:
// every terminal has them, and users can choose how they look.
func sgr(s Style) string {
	codes := [styles]string{
		Faint: "2", Strong: "1", Good: "32", Warning: "33", Bad: "1;31", Alarm: "1;37;41", Line: "36", Heading: "2;7", Focused: "1;7",
	}
	return codes[s]
}

// glyphs are the non-letter characters of a frame.
type glyphs struct {
	spark    []rune // least first
	zero     rune   // zero events
	full     rune   // of a bar
	rest     rune
	ellipsis rune
	down, up rune // sort order: highest or lowest first
	ascii    bool
}

func newGlyphs(unicode bool) *glyphs {
	if unicode {
		return &glyphs{spark: []rune("▁▂▃▄▅▆▇█"), zero: '·', full: '█', rest: '·', ellipsis: '…', down: '▼', up: '▲'}
	}
	return &glyphs{spark: []rune(":-=+*#%@"), zero: '.', full: '#', rest: '.', ellipsis: '~', down: 'v', up: '^', ascii: true}
}

// firstWide is the first code point of scripts whose letters may be wide, join each other, or run from right to left.
const firstWide = 0x530

// shows reports whether a frame may contain r: it takes one cell and runs from left to right.
func (g *glyphs) shows(r rune) bool {
	switch {
	case r >= ' ' && r <= '~':
		return true
	case g.ascii:
		return false
	}
	return r < firstWide && unicode.IsLetter(r) || strings.ContainsRune("▁▂▃▄▅▆▇█·…▼▲", r)
}
