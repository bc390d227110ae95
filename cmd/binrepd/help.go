package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

const (
	// widestHelp is the longest line of help, however wide the terminal is: longer ones are hard to read.
	widestHelp = 110
	helpIndent = "   "
	// helpText is the column at which the texts of flags begin.
	helpText = 27
)

// The library's own help puts the text of a flag into one line of up to 400 characters, which a terminal breaks in the
// middle of words. helpTemplate renders the help of a command instead, with lines that fit into width cells. The result
// is a template without variables.
func helpTemplate(name, usage, arguments, description string, commands []*cli.Command, flags []cli.Flag, width int) string {
	var text strings.Builder
	s := sheet{out: &text, width: min(width, widestHelp)}
	text.WriteString("NAME:\n")
	s.wrap(helpIndent, helpIndent+"  ", strings.Fields(name+" - "+usage))
	synopsis := name
	if len(commands) > 0 {
		synopsis += " COMMAND"
	}
	if synopsis += " [flags]"; arguments != "" {
		synopsis += " " + arguments
	}
	text.WriteString("\nUSAGE:\n" + helpIndent + synopsis + "\n")
	if description != "" {
		text.WriteString("\nDESCRIPTION:\n")
		s.describe(description)
	}
	if len(commands) > 0 {
		text.WriteString("\nCOMMANDS:\n")
		p := &pairs{}
		for _, c := range commands {
			p.add(helpIndent+c.Name, "%s", c.Usage)
		}
		p.add(helpIndent+"help", "show this, or the help of one command")
		s.pairs(p)
	}
	text.WriteString("\nFLAGS:\n")
	s.flag("--help, -h", "show help")
	category := ""
	for _, f := range byCategory(flags) {
		if c := categoryOf(f); c != category {
			category = c
			text.WriteString("\n" + helpIndent + c + "\n\n")
		}
		name, usage, _ := strings.Cut(f.String(), "\t")
		s.flag(repeated.ReplaceAllString(name, ""), usage)
	}
	return "{{" + strconv.Quote(text.String()) + "}}"
}

// repeated is what the library adds to the name of a flag that can be repeated; the text of such a flag says so, too.
var repeated = regexp.MustCompile(` \[ --.* \]$`)

// flag writes one flag with its text. The text begins below a long name.
func (s sheet) flag(name, usage string) {
	indent := strings.Repeat(" ", helpText)
	if room := helpText - len(helpIndent) - 2; utf8.RuneCountInString(name) > room {
		s.wrap(helpIndent, helpIndent, []string{name})
		s.wrap(indent, indent, strings.Fields(usage))
	} else {
		s.wrap((helpIndent + name + indent)[:helpText], indent, strings.Fields(usage))
	}
}

// byCategory orders flags by category and name, those without a category first, as the library does.
func byCategory(flags []cli.Flag) []cli.Flag {
	flags = slices.Clone(flags)
	slices.SortStableFunc(flags, func(a, b cli.Flag) int {
		if c := strings.Compare(categoryOf(a), categoryOf(b)); c != 0 {
			return c
		}
		return strings.Compare(a.Names()[0], b.Names()[0])
	})
	return flags
}

func categoryOf(f cli.Flag) string {
	if c, ok := f.(cli.CategorizableFlag); ok {
		return c.GetCategory()
	}
	return ""
}

// describe writes a description. Its paragraphs are filled; rows of tables, which have two or more spaces within the
// line, or in front of it, keep their columns.
func (s sheet) describe(description string) {
	for i, paragraph := range strings.Split(description, "\n\n") {
		if i > 0 {
			s.wrap("", "", nil)
		}
		var words []string
		fill := func() {
			if len(words) > 0 {
				s.wrap(helpIndent, helpIndent, words)
			}
			words = nil
		}
		rows := strings.Split(paragraph, "\n")
		for k := 0; k < len(rows); k++ {
			text := strings.TrimLeft(rows[k], " ")
			lead := len(rows[k]) - len(text)
			gap := tableGap.FindAllStringIndex(rows[k], -1)
			if len(gap) == 0 && lead < 2 {
				words = append(words, strings.Fields(rows[k])...)
				continue
			}
			fill()
			column := lead
			if len(gap) > 0 {
				column = gap[len(gap)-1][1] - 1
			}
			cells, rest := rows[k][:column], strings.Fields(rows[k][column:])
			// The lines of one cell go together.
			for k+1 < len(rows) && lead < column && strings.HasPrefix(rows[k+1], strings.Repeat(" ", column)) {
				k++
				rest = append(rest, strings.Fields(rows[k])...)
			}
			s.wrap(helpIndent+cells, helpIndent+strings.Repeat(" ", column), rest)
		}
		fill()
	}
}

// tableGap is what divides the cells of a row.
var tableGap = regexp.MustCompile(`\S {2,}\S`)
