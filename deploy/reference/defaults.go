package reference

import (
	"bytes"
	"fmt"
	"strings"
)

// defaults writes /etc/default/binrepd: every flag of run as an environment variable, commented out.
func defaults(run *command) []byte {
	var b bytes.Buffer
	b.WriteString(`# Settings of binrepd.service: every flag of "binrepd run", see binrepd(8), with its default. BINREPD_LISTEN is needed.
# Where several values are allowed they are separated by commas.
# The service itself sets BINREPD_PIN=/sys/fs/bpf/binrepd and BINREPD_STATE_DIR=/var/lib/binrepd; to have neither, set them to nothing.
#
# Settings are read at the start: systemctl restart binrepd
`)
	category := ""
	for _, f := range run.flags {
		if f.category != category {
			category = f.category
			fmt.Fprintf(&b, "\n## %s\n", category)
		}
		b.WriteString("\n")
		text := sentence(f.usage)
		if f.initial == "" && f.initially != "" {
			text += " Default: " + f.initially + "."
		}
		for _, line := range wrap("--"+strings.TrimSpace(f.name+" "+f.value)+": "+text, 116) {
			fmt.Fprintf(&b, "# %s\n", line)
		}
		value := f.initial
		if f.value == "" {
			value = "false"
		}
		fmt.Fprintf(&b, "#%s=%s\n", f.variable, value)
	}
	return b.Bytes()
}

// wrap breaks text into lines of at most this width, if the words allow it.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
