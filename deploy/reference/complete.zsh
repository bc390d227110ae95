# Test driver: prints, one a line, what zsh offers for the command line $2 when _binrepd lies in folder $1.
zmodload zsh/zpty
found=$(mktemp)
zpty shell zsh -f -i
zpty -w shell "fpath=($1 \$fpath); autoload -Uz compinit; compinit -D -u
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
zpty -w -n shell "$2"$'\t'
while zpty -r shell output; do :; done
cat $found
rm -f $found
