# Test driver: prints, one a line, what zsh offers for the command line $3 when _binrepd lies in folder $1. Its list of
# completions is read from file $2, which is made if missing.
zmodload zsh/zpty
found=$(mktemp)
zpty shell zsh -f -i
zpty -w shell "fpath=($1 \$fpath); autoload -Uz compinit; compinit $(test -s $2 && echo -C) -u -d $2
compadd() {
	if [[ \${@[1,(i)(-|--)]} != *-[ODA]* ]]; then
		local -a hits
		builtin compadd -O hits \"\$@\"
		print -lr -- \$hits >> $found
	fi
	builtin compadd \"\$@\"
}
finish() { exit }
comppostfuncs=(finish)
bindkey '^I' complete-word
"
zpty -w -n shell "$3"$'\t'
while zpty -r shell output; do :; done
cat $found
rm -f $found
