package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves the flags of a command in front of its arguments, because the library stops reading flags at the
// first argument and people write `dialogs get CALLID --json`. Everything after "--" is an argument, even with a dash
// in front; so is "-".
func flagsFirst(commands []*cli.Command, args []string) []string {
	if len(args) == 0 {
		return args
	}
	rest := args[1:]
	var command *cli.Command
	for len(rest) > 0 {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(rest[0]) })
		if i < 0 {
			break
		}
		command, rest = commands[i], rest[1:]
		commands = command.Subcommands
	}
	if command == nil || len(command.Subcommands) > 0 {
		return args
	}
	ordered := slices.Clone(args[:len(args)-len(rest)])
	var operands []string
	for len(rest) > 0 {
		arg := rest[0]
		rest = rest[1:]
		switch {
		case arg == "--":
			operands = append(operands, rest...)
			rest = nil
		case len(arg) < 2 || arg[0] != '-':
			operands = append(operands, arg)
		default:
			ordered = append(ordered, arg)
			if takesValue(command, arg) && len(rest) > 0 {
				ordered = append(ordered, rest[0])
				rest = rest[1:]
			}
		}
	}
	if len(operands) > 0 {
		ordered = append(append(ordered, "--"), operands...)
	}
	return ordered
}

// takesValue reports whether the argument after arg, a flag, is its value.
func takesValue(c *cli.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, f := range c.Flags {
		if slices.Contains(f.Names(), name) {
			valued, ok := f.(cli.DocGenerationFlag)
			return ok && valued.TakesValue()
		}
	}
	return false
}
