// Package deb holds the Debian package and the RPM: the configuration of nfpm, the scripts that dpkg and rpm run, and a test that really
// installs, removes and purges the package in a copy-on-write view of the system.
//
// nfpm has its own module file, nfpm.mod, so that its sixty dependencies don't become those of binrepd:
//
//	go tool -modfile=deploy/deb/nfpm.mod nfpm
//
// This is the last version whose modules the Go proxy serves completely. Later ones add formats that aren't needed
// here.
package deb
