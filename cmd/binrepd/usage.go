package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"

	"binrepd/dialog/escape"
)

// nameVariable lets a flag be given as an environment variable too: --ring-size as BINREPD_RING_SIZE.
func nameVariable(f cli.Flag, prefix string) {
	switch f.Names()[0] {
	case "control", "record", "pin": // the daemon and the other commands mean the same
		prefix = ""
	}
	names := []string{"BINREPD_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(prefix+f.Names()[0]))}
	switch f := f.(type) {
	case *cli.BoolFlag:
		f.EnvVars = names
	case *cli.DurationFlag:
		f.EnvVars = names
	case *cli.IntFlag:
		f.EnvVars = names
	case *cli.StringFlag:
		f.EnvVars = names
	case *cli.StringSliceFlag:
		f.EnvVars = names
	default:
		panic(fmt.Sprintf("flag --%s: no environment variable for a %T", f.Names()[0], f))
	}
}

// Error messages of the library: about a value on the command line or in the environment, and about help for an unknown
// command.
var (
	unknownTopic = regexp.MustCompile(`^No help topic for '(.*)'$`)
	badValue     = regexp.MustCompile(`^invalid (?:boolean )?value "?(.*?)"? for (?:flag )?-([\w-]+): `)
	badVariable  = regexp.MustCompile(`^could not parse "(.*)" as .* from environment variable "(\w+)" for flag ([\w-]+): `)
)

// alike is the least similarity of two names for a suggestion. --ringz and --rings have 0.92, --bogus and --cpus only
// 0.63. The library itself always suggests some name.
const alike = 0.8

// nearest returns the name that is most like the given one; empty if none is alike.
func nearest(name string, names []string) (best string) {
	most := alike
	for _, n := range names {
		if similarity := smetrics.JaroWinkler(n, name, 0.7, 4); similarity >= most {
			best, most = n, similarity
		}
	}
	return best
}

// unknownCommand is the error for a command that self, such as "binrepd dialogs", doesn't have.
func unknownCommand(name, self string, commands []*cli.Command) error {
	var names []string
	for _, c := range commands {
		names = append(names, c.Names()...)
	}
	if meant := nearest(name, names); meant != "" {
		return usageErrorf("no command %q, did you mean %s? %s --help lists them", name, meant, self)
	}
	return usageErrorf("no command %q: %s --help lists them", name, self)
}

// otherVariables begin with BINREPD_ too, but belong to scripts.
var otherVariables = [...]string{"BINREPD_TAKEOVER_CONF"}

// unknownVariables describes the variables BINREPD_... that no flag has, in alphabetical order. Most likely they are
// mistyped, and the settings that were meant aren't in force.
func unknownVariables(app *cli.App, environment []string) (texts []string) {
	var known []string
	var visit func([]*cli.Command)
	visit = func(commands []*cli.Command) {
		for _, c := range commands {
			for _, f := range c.Flags {
				if doc, ok := f.(cli.DocGenerationFlag); ok {
					known = append(known, doc.GetEnvVars()...)
				}
			}
			visit(c.Subcommands)
		}
	}
	visit(app.Commands)
	for _, v := range environment {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "BINREPD_") || slices.Contains(known, name) || slices.Contains(otherVariables[:], name) {
			continue
		}
		text := "no flag has the variable " + escape.String(name)
		// They all begin alike, so only the rest is compared.
		if meant := nearest(strings.TrimPrefix(name, "BINREPD_"), trimmed(known)); meant != "" {
			text += ", did you mean BINREPD_" + meant + "?"
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return texts
}

func trimmed(names []string) (list []string) {
	for _, n := range names {
		list = append(list, strings.TrimPrefix(n, "BINREPD_"))
	}
	return list
}

// dashed returns a flag as users write it.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// onUsageError rewrites the errors of flag parsing in the form of all others: what is wrong, and what to do.
func onUsageError(c *cli.Context, err error, _ bool) error {
	flags, self, text := c.Command.Flags, c.Command.HelpName, err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		name = strings.TrimLeft(name, "-")
		var names []string
		for _, f := range flags {
			names = append(names, f.Names()...)
		}
		if meant := nearest(name, names); meant != "" {
			return usageErrorf("no flag %s, did you mean %s? See %s --help", dashed(name), dashed(meant), self)
		}
		return usageErrorf("no flag %s: see %s --help", dashed(name), self)
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		return usageErrorf("--%s needs a value: see %s --help", strings.TrimLeft(name, "-"), self)
	}
	if m := badValue.FindStringSubmatch(text); m != nil {
		return usageErrorf("--%s %s: %s", m[2], m[1], wants(flags, m[2]))
	}
	if m := badVariable.FindStringSubmatch(text); m != nil {
		return usageErrorf("%s=%s: %s", m[2], m[1], wants(flags, m[3]))
	}
	return usageErrorf("%w: see %s --help", err, self)
}

// wants says which kind of value the flag of that name takes.
func wants(flags []cli.Flag, name string) string {
	for _, f := range flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		switch f.(type) {
		case *cli.IntFlag:
			return "not a whole number"
		case *cli.DurationFlag:
			return "not a duration; write it with its unit, such as 90s or 3m"
		case *cli.BoolFlag:
			return "neither true nor false"
		}
	}
	return "not a value for it"
}
