// Command binrepd is the appliance and its client.
//
// It is wiring only: one file a command, which turns flags into the plain configuration of a package and calls it.
// What a command needs of its host is asked once (host.go) and handed on as a value, so that every rule about flags
// and findings is a function of its arguments.
//
// Exit status: 0 done, 1 failed, 2 wrong usage. An error is one line on standard error that says what was wrong and
// what to do; standard output carries only what was asked for. A value that no host could accept is wrong usage; one
// that this host can't serve now, such as a missing interface, is a failure.
package main
