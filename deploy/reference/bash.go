package reference

import (
	"bytes"
	"fmt"
	"strings"
)

// bash writes the completion for bash. It needs only bash, not the package bash-completion.
func bash(root *command) []byte {
	var b bytes.Buffer
	b.WriteString(`# Completion of binrepd for bash. Made by "make reference".

_binrepd() {
	local cur=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} command=binrepd commands='' flags='' files='' i
	COMPREPLY=()
	# bash takes the = of --flag=value for a word of its own.
	if [[ $cur == '=' ]]; then
		cur=''
	elif [[ $flag == '=' ]]; then
		flag=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case "$command ${COMP_WORDS[i]}" in
`)
	var paths []string
	root.walk(func(c *command) {
		if c != root {
			paths = append(paths, "'"+c.full()+"'")
		}
	})
	fmt.Fprintf(&b, "\t\t%s)\n\t\t\tcommand+=\" ${COMP_WORDS[i]}\" ;;\n\t\tesac\n\tdone\n", strings.Join(paths, " | "))

	b.WriteString("\tcase \"$command $flag\" in\n")
	root.walk(func(c *command) {
		for i := range c.flags {
			if f := &c.flags[i]; f.value != "" {
				bashValue(&b, c, f)
			}
		}
	})
	b.WriteString("\tesac\n\tcase $command in\n")
	root.walk(func(c *command) {
		var commands, flags []string
		for _, s := range c.commands {
			commands = append(commands, s.name())
		}
		for _, f := range c.flags {
			flags = append(flags, "--"+f.name)
		}
		fmt.Fprintf(&b, "\t'%s')\n", c.full())
		if len(commands) > 0 {
			fmt.Fprintf(&b, "\t\tcommands='%s'\n", strings.Join(commands, " "))
		}
		if c.takesFile() {
			b.WriteString("\t\tfiles=1\n")
		}
		fmt.Fprintf(&b, "\t\tflags='%s' ;;\n", strings.Join(append(flags, "--help"), " "))
	})
	b.WriteString(`	esac
	if [[ $cur == -* || -z $commands$files ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
	elif [[ $files ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
	fi
}
complete -F _binrepd binrepd
`)
	return b.Bytes()
}

// bashValue writes the completion of a flag's value. For other words nothing is completed.
func bashValue(b *bytes.Buffer, c *command, f *flag) {
	var words string
	switch how, list := c.completion(f); how {
	case oneOf:
		words = "-W '" + strings.Join(list, " ") + "'"
	case path:
		words = "-f"
	case folder:
		words = "-d"
	case networkInterface:
		words = "-W \"$(cd /sys/class/net 2>/dev/null && echo *)\""
	}
	names := []string{"'" + c.full() + " --" + f.name + "'"}
	for _, alias := range f.aliases {
		names = append(names, "'"+c.full()+" --"+alias+"'")
	}
	fmt.Fprintf(b, "\t%s)\n", strings.Join(names, " | "))
	if words != "" {
		fmt.Fprintf(b, "\t\tmapfile -t COMPREPLY < <(compgen %s -- \"$cur\")\n", words)
	}
	b.WriteString("\t\treturn ;;\n")
}
