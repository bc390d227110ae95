// Package reference generates descriptions of the program from its commands and flags: the manual page, the completions
// for bash and zsh, and /etc/default/binrepd. The results are committed, so that a build needs no generator. A test
// beside the flags (cmd/binrepd) fails if they are out of date, and `make reference` updates them.
//
//	binrepd.8         before.8, the commands, after.8
//	binrepd.bash      for /usr/share/bash-completion/completions/binrepd
//	_binrepd          for a folder of zsh's $fpath
//	binrepd.default   for /etc/default/binrepd
package reference
