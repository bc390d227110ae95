package reference

import (
	"bytes"
	"fmt"
	"strings"
)

// zsh writes the completion for zsh, with one function per command.
func zsh(root *command) []byte {
	var b bytes.Buffer
	b.WriteString("#compdef binrepd\n# Completion of binrepd for zsh. Made by \"make reference\".\n")
	root.walk(func(c *command) { zshFunction(&b, c) })
	b.WriteString("\n_binrepd \"$@\"\n")
	return b.Bytes()
}

func zshFunction(b *bytes.Buffer, c *command) {
	fmt.Fprintf(b, "\n%s() {\n", zshName(c))
	if len(c.commands) > 0 {
		b.WriteString("\tlocal context state state_descr line\n\ttypeset -A opt_args\n\tlocal -a commands=(\n")
		for _, s := range c.commands {
			fmt.Fprintf(b, "\t\t'%s:%s'\n", s.name(), strings.ReplaceAll(zshQuote(s.usage), ":", `\:`))
		}
		b.WriteString("\t)\n\t_arguments -C \\\n")
		zshFlags(b, c)
		b.WriteString("\t\t'1:command:->command' \\\n\t\t'*::argument:->argument'\n\tcase $state in\n")
		b.WriteString("\tcommand) _describe command commands ;;\n\targument)\n\t\tcase $line[1] in\n")
		for _, s := range c.commands {
			fmt.Fprintf(b, "\t\t%s) %s ;;\n", s.name(), zshName(s))
		}
		b.WriteString("\t\tesac ;;\n\tesac\n}\n")
		return
	}
	b.WriteString("\t_arguments \\\n")
	zshFlags(b, c)
	if c.arguments != "" {
		action := " "
		if c.takesFile() {
			action = "_files"
		}
		fmt.Fprintf(b, "\t\t'1:%s:%s' \\\n", c.arguments, action)
	}
	b.WriteString("\t\t'(- *)--help[show help]'\n}\n")
}

func zshFlags(b *bytes.Buffer, c *command) {
	for i := range c.flags {
		f := &c.flags[i]
		text := strings.NewReplacer(`[`, `\[`, `]`, `\]`).Replace(zshQuote(short(f.usage)))
		prefix, suffix, value := "", "", ""
		if f.repeats {
			prefix = "*"
		}
		if f.value != "" {
			suffix, value = "=", ":"+strings.ReplaceAll(zshQuote(f.value), ":", `\:`)+":"+zshAction(c, f)
		}
		for _, name := range append([]string{f.name}, f.aliases...) {
			fmt.Fprintf(b, "\t\t'%s--%s%s[%s]%s' \\\n", prefix, name, suffix, text, value)
		}
	}
}

func zshAction(c *command, f *flag) string {
	switch how, list := c.completion(f); how {
	case oneOf:
		return "(" + strings.Join(list, " ") + ")"
	case path:
		return "_files"
	case folder:
		return "_files -/"
	case networkInterface:
		return "_net_interfaces"
	}
	return " "
}

func zshName(c *command) string { return "_" + strings.Join(c.path, "_") }

// zshQuote escapes text for a string in single quotes.
func zshQuote(text string) string { return strings.ReplaceAll(text, "'", `'\''`) }
