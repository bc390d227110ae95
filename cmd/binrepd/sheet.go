package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// sheet is where a command prints for people: text that is broken, and tables that are cut, so that each line fits.
type sheet struct {
	out      io.Writer
	width    int    // in cells; 0: no limit
	ellipsis string // stands for what was cut
}

// wideFlag is the same for every command that prints tables.
func wideFlag() cli.Flag {
	return &cli.BoolFlag{
		Name: "wide", DisableDefaultText: true,
		Usage: "print whole values and all columns; without it lines fit the terminal, COLUMNS, or else 80 columns, and long values are cut",
	}
}

// newSheet returns the sheet of a command: as wide as its output is, without a limit with --wide.
func newSheet(c *cli.Context) sheet {
	s := sheet{out: c.App.Writer, ellipsis: "..."}
	if !c.Bool("wide") {
		s.width, _ = terminalWidth(c.App.Writer)
	}
	if showsUnicode(os.Getenv) {
		s.ellipsis = "\u2026"
	}
	return s
}

// to returns the same sheet on another writer.
func (s sheet) to(out io.Writer) sheet {
	s.out = out
	return s
}

// line writes one line of text. If it is too long it goes on below, indented by two cells.
func (s sheet) line(format string, args ...any) {
	s.wrap("", "  ", words(fmt.Sprintf(format, args...)))
}

// wrap writes parts with a space between them, behind first. It begins a new line, with indent in front, before each part
// that doesn't fit. A single part that is longer than a line stays whole.
func (s sheet) wrap(first, indent string, parts []string) {
	var text strings.Builder
	text.WriteString(first)
	used := utf8.RuneCountInString(first)
	for i, p := range parts {
		n := utf8.RuneCountInString(p)
		switch {
		case i > 0 && s.width > 0 && used+1+n > s.width:
			text.WriteString("\n" + indent)
			used = utf8.RuneCountInString(indent)
		case i > 0:
			text.WriteByte(' ')
			used++
		}
		text.WriteString(p)
		used += n
	}
	// A failed write is reported at the end of the command: see keptError.
	fmt.Fprintln(s.out, strings.TrimRight(text.String(), " "))
}

// words divides text into the parts between which a line may be broken: its words, but a number and the word that it
// counts stay together.
func words(text string) (parts []string) {
	number := ""
	for _, w := range strings.Fields(text) {
		if strings.Trim(w, "0123456789") == "" {
			number += w + " "
			continue
		}
		parts = append(parts, number+w)
		number = ""
	}
	if number != "" {
		parts = append(parts, strings.TrimSuffix(number, " "))
	}
	return parts
}

// pairs collects names with their texts, to be written one below the other. Names are padded to the same width.
type pairs struct {
	names []string
	texts [][]string
}

// add adds one pair. An empty name continues the pair before.
func (p *pairs) add(name, format string, args ...any) {
	p.addParts(name, words(fmt.Sprintf(format, args...)))
}

// addParts adds a pair whose text is broken only between these parts.
func (p *pairs) addParts(name string, parts []string) {
	p.names, p.texts = append(p.names, name), append(p.texts, parts)
}

func (s sheet) pairs(p *pairs) {
	longest := 0
	for _, name := range p.names {
		longest = max(longest, utf8.RuneCountInString(name))
	}
	indent := strings.Repeat(" ", longest+2)
	for i, name := range p.names {
		s.wrap(name+indent[utf8.RuneCountInString(name):], indent, p.texts[i])
	}
}

// heading describes a column of a table.
type heading struct {
	name string
	// least is the width down to which values may be cut; 0: they are never cut.
	least int
	// spare columns are left out if the others need the room, the highest number first; 0: never.
	spare int
}

// grid is a table. Its columns are as wide as the rows need that were added since the last flush. If they are too wide
// for the sheet, the longest values are cut in their middle, and then spare columns are left out.
type grid struct {
	sheet
	columns []heading
	rows    [][]string
	begun   bool
}

func (s sheet) grid(columns ...heading) *grid { return &grid{sheet: s, columns: columns} }

// row adds a row, with one value for each column.
func (g *grid) row(values ...any) {
	cells := make([]string, len(g.columns))
	for i, v := range values {
		cells[i] = fmt.Sprint(v)
		if g.width > 0 && g.columns[i].least > 0 { // a long value isn't kept for measuring
			cells[i] = g.cut(cells[i], g.width)
		}
	}
	g.rows = append(g.rows, cells)
}

// flush writes the rows, and the names of the columns before the first of them.
func (g *grid) flush() error {
	widths, left := g.widths()
	put := func(cells []string) error {
		var line strings.Builder
		for i, w := range widths {
			if w < 0 {
				continue
			}
			cell := g.cut(cells[i], w)
			line.WriteString(cell + strings.Repeat(" ", w-utf8.RuneCountInString(cell)+2))
		}
		_, err := fmt.Fprintln(g.out, strings.TrimRight(line.String(), " "))
		return err
	}
	if !g.begun {
		g.begun = true
		names := make([]string, len(g.columns))
		for i, c := range g.columns {
			names[i] = c.name
		}
		if err := put(names); err != nil {
			return err
		}
	}
	for _, cells := range g.rows {
		if err := put(cells); err != nil {
			return err
		}
	}
	g.rows = g.rows[:0]
	if len(left) > 0 {
		g.line("not shown: %s (--wide)", strings.Join(left, ", "))
	}
	return nil
}

// widths returns the width of each column, -1 for those that are left out, and the names of these.
func (g *grid) widths() (widths []int, left []string) {
	for i, c := range g.columns {
		w := utf8.RuneCountInString(c.name)
		for _, cells := range g.rows {
			w = max(w, utf8.RuneCountInString(cells[i]))
		}
		widths = append(widths, w)
	}
	if g.width == 0 {
		return widths, nil
	}
	over := func() int {
		n := -2 - g.width
		for _, w := range widths {
			if w >= 0 {
				n += w + 2
			}
		}
		return n
	}
	whole := slices.Clone(widths)
	// Values are cut first by as much as is needed, the longest first.
	for n := over(); n > 0; n-- {
		widest := -1
		for i, c := range g.columns {
			if c.least > 0 && widths[i] > max(c.least, utf8.RuneCountInString(c.name)) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	for over() > 0 {
		drop := -1
		for i, c := range g.columns {
			if c.spare > 0 && widths[i] >= 0 && (drop < 0 || c.spare > g.columns[drop].spare) {
				drop = i
			}
		}
		if drop < 0 {
			break
		}
		widths[drop] = -1
		left = append(left, g.columns[drop].name)
	}
	// What the columns that were left out don't need any more goes to what was cut.
	for n := over(); n < 0; n++ {
		most := -1
		for i, w := range widths {
			if w >= 0 && w < whole[i] && (most < 0 || whole[i]-w > whole[most]-widths[most]) {
				most = i
			}
		}
		if most < 0 {
			break
		}
		widths[most]++
	}
	slices.Reverse(left)
	return widths, left
}

// cut shortens text to width cells in its middle, so that its beginning and its end stay, such as the port of an address.
func (s sheet) cut(text string, width int) string {
	if len(text) <= width || utf8.RuneCountInString(text) <= width {
		return text
	}
	room := width - utf8.RuneCountInString(s.ellipsis)
	if room < 1 {
		return string([]rune(text)[:width])
	}
	tail := room / 2
	end, from := 0, len(text)
	for range room - tail {
		_, n := utf8.DecodeRuneInString(text[end:])
		end += n
	}
	for range tail {
		_, n := utf8.DecodeLastRuneInString(text[:from])
		from -= n
	}
	return text[:end] + s.ellipsis + text[from:]
}
