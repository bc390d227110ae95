package reference

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Choices are the possible values of flags with a fixed set of values, by the name of the flag.
type Choices map[string][]string

// File is a generated file of this folder.
type File struct {
	Name string
	Text []byte
}

// Files generates all files. The commands must already have their environment variables, but not the library's own
// flags.
func Files(app *cli.App, choices Choices) []File {
	root := &command{path: []string{app.Name}, usage: app.Usage, choices: choices}
	for _, f := range app.Flags {
		root.flags = append(root.flags, describe(f))
	}
	root.add(app.Commands)
	return []File{
		{"binrepd.8", man(root)},
		{"binrepd.bash", bash(root)},
		{"_binrepd", zsh(root)},
		{"binrepd.default", defaults(root.sub("run"))},
	}
}

// command is a command with its subcommands.
type command struct {
	path        []string // from the program's name on
	usage       string   // one line
	description string
	arguments   string // what follows the flags, such as CALLID
	flags       []flag
	commands    []*command
	choices     Choices
}

// flag describes a flag of the library.
type flag struct {
	name      string // the longest one
	aliases   []string
	value     string // name of the value, such as ADDRESS:PORT; "" for a switch
	usage     string
	initial   string // the default in the syntax of the flag; "" if there is none, or none that can be written
	initially string // the default in words
	variable  string
	category  string
	repeats   bool
}

func (c *command) name() string { return c.path[len(c.path)-1] }

func (c *command) full() string { return strings.Join(c.path, " ") }

func (c *command) sub(name string) *command {
	i := slices.IndexFunc(c.commands, func(s *command) bool { return s.name() == name })
	return c.commands[i]
}

// add adds the subcommands of c.
func (c *command) add(list []*cli.Command) {
	for _, l := range list {
		if l.Hidden {
			continue
		}
		s := &command{
			path: append(slices.Clone(c.path), l.Name), usage: l.Usage, description: l.Description,
			arguments: l.ArgsUsage, choices: c.choices,
		}
		for _, f := range l.Flags {
			if v, ok := f.(cli.VisibleFlag); !ok || v.IsVisible() {
				s.flags = append(s.flags, describe(f))
			}
		}
		// The order of --help: by category, flags without one first, then by name.
		slices.SortStableFunc(s.flags, func(a, b flag) int {
			return strings.Compare(a.category+"\x00"+a.name, b.category+"\x00"+b.name)
		})
		s.add(l.Subcommands)
		c.commands = append(c.commands, s)
	}
}

// walk calls visit for c and all its subcommands.
func (c *command) walk(visit func(*command)) {
	visit(c)
	for _, s := range c.commands {
		s.walk(visit)
	}
}

func describe(f cli.Flag) flag {
	names := slices.Clone(f.Names())
	longest := slices.MaxFunc(names, func(a, b string) int { return len(a) - len(b) })
	d := flag{
		name:    longest,
		aliases: slices.DeleteFunc(names, func(n string) bool { return n == longest }),
	}
	if doc, ok := f.(cli.DocGenerationFlag); ok {
		d.value, d.usage = unquote(doc.GetUsage())
		d.initial, d.initially = doc.GetValue(), doc.GetDefaultText()
		if len(doc.GetEnvVars()) > 0 {
			d.variable = doc.GetEnvVars()[0]
		}
		if !doc.TakesValue() {
			d.value = ""
		} else if d.value == "" {
			d.value = "VALUE"
		}
	}
	if slice, ok := f.(cli.DocGenerationSliceFlag); ok {
		d.repeats = slice.IsSliceFlag()
	}
	if c, ok := f.(cli.CategorizableFlag); ok {
		d.category = c.GetCategory()
	}
	// A default in several words describes how it is found: it depends on the machine, or there is none.
	switch words := strings.Trim(d.initially, `"`); {
	case d.value == "":
		d.initial, d.initially = "", ""
	case strings.Contains(words, " "):
		d.initial = ""
	case words != "":
		d.initial, d.initially = words, words
	}
	return d
}

// unquote returns the word in backquotes, which is the name of the value, and the text without the quotes.
func unquote(usage string) (value, text string) {
	before, rest, found := strings.Cut(usage, "`")
	value, after, closed := strings.Cut(rest, "`")
	if !found || !closed {
		return "", usage
	}
	return value, before + value + after
}

// short returns the beginning of usage, without the details.
func short(usage string) string {
	end := len(usage)
	for _, mark := range []string{", ", "; ", ": ", " (", ". "} {
		if i := strings.Index(usage, mark); i > 0 {
			end = min(end, i)
		}
	}
	return usage[:end]
}

// takesFile reports whether the argument of c is a file.
func (c *command) takesFile() bool { return c.arguments == "FILE" }

// kind is the way to complete values.
type kind int

const (
	anything kind = iota
	oneOf
	path
	folder
	networkInterface
)

// completion returns how to complete the value of a flag, and the possible words, if any.
func (c *command) completion(f *flag) (kind, []string) {
	if words := c.choices[f.name]; len(words) > 0 {
		return oneOf, words
	}
	switch f.value {
	case "PATH", "FILE":
		return path, nil
	case "DIR", "FOLDER":
		return folder, nil
	}
	if f.name == "interface" {
		return networkInterface, nil
	}
	return anything, nil
}
