package reference

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
)

// Hand-written text before and after the commands.
//
//go:embed before.8
var manBefore []byte

//go:embed after.8
var manAfter []byte

// man writes the manual page in the macros of man(7).
func man(root *command) []byte {
	var b bytes.Buffer
	b.WriteString(".\\\" Made by `make reference` from before.8, the flags of the program, and after.8.\n")
	b.Write(manBefore)
	b.WriteString(".SH COMMANDS\n")
	root.walk(func(c *command) {
		if len(c.commands) == 0 {
			manCommand(&b, c)
		}
	})
	b.Write(manAfter)
	return b.Bytes()
}

func manCommand(b *bytes.Buffer, c *command) {
	fmt.Fprintf(b, ".SS %s\n", roff(c.full()))
	synopsis := "\\fB" + roff(c.full()) + "\\fR"
	if len(c.flags) > 0 {
		synopsis += " [\\fIflags\\fR]"
	}
	if c.arguments != "" {
		synopsis += " \\fI" + roff(c.arguments) + "\\fR"
	}
	fmt.Fprintf(b, "%s\n.PP\n%s\n", synopsis, roff(sentence(c.usage)))
	for paragraph := range strings.SplitSeq(c.description, "\n\n") {
		if paragraph == "" {
			continue
		}
		b.WriteString(".PP\n")
		// Columns are left unchanged.
		first, rest, _ := strings.Cut(paragraph, "\n")
		if table := strings.Contains(rest, "   "); table {
			fmt.Fprintf(b, "%s\n.PP\n.nf\n%s\n.fi\n", roff(first), roff(rest))
		} else {
			fmt.Fprintln(b, roff(paragraph))
		}
	}
	category := ""
	for _, f := range c.flags {
		if f.category != category {
			category = f.category
			fmt.Fprintf(b, ".PP\n.I %s\n", roff(category))
		}
		b.WriteString(".TP\n")
		for _, alias := range f.aliases {
			fmt.Fprintf(b, "\\fB\\-\\-%s\\fR, ", roff(alias))
		}
		fmt.Fprintf(b, "\\fB\\-\\-%s\\fR", roff(f.name))
		if f.value != "" {
			fmt.Fprintf(b, " \\fI%s\\fR", roff(f.value))
		}
		text := sentence(f.usage)
		if f.initially != "" {
			text += " Default: " + f.initially + "."
		} else if f.initial != "" {
			text += " Default: " + f.initial + "."
		}
		fmt.Fprintf(b, "\n%s\n", roff(text))
		if f.variable != "" {
			fmt.Fprintf(b, "[%s]\n", f.variable)
		}
	}
}

// sentence turns a usage line into a sentence.
func sentence(usage string) string {
	if usage == "" {
		return ""
	}
	return strings.ToUpper(usage[:1]) + strings.TrimRight(usage[1:], ".") + "."
}

// roff escapes text for roff.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
