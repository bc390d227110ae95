// Package reference makes from the commands and flags of the program what describes them: the manual page, the completion of
// bash and zsh, and /etc/default/binrepd. The results are committed, so that a build needs nothing; a test beside the
// flags (cmd/binrepd) fails when they are out of date, and `make reference` makes them anew.
//
//	binrepd.8         before.8, the commands, after.8
//	binrepd.bash      for /usr/share/bash-completion/completions/binrepd
//	_binrepd          for a folder of zsh's $fpath
//	binrepd.default   for /etc/default/binrepd
package reference
