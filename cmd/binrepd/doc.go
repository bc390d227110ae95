// Command binrepd is the appliance and its client.
//
// It is flags and printing only: each command has a file, which turns flags into the configuration of a package, calls
// the package, and prints the result. flags.go has the flags of run, options.go reads them. `run` is package appliance,
// `doctor` is package doctor; most others ask a running appliance by package control.
//
// Exit status: 0 done, 1 failed, 2 wrong usage. An error is one line on standard error that says what was wrong and
// what to do; standard output carries only the result. A value that no host could accept is wrong usage. A value
// that this host can't serve now, such as a missing interface, is a failure.
package main
