// Package deb holds the Debian package: what nfpm makes it of, the scripts that dpkg runs, and a test that installs,
// removes and purges it for real in a copy-on-write view of the system.
//
// nfpm has a module file of its own, nfpm.mod, so that its sixty dependencies are not those of binrepd:
//
//	go tool -modfile=deploy/deb/nfpm.mod nfpm
//
// It is the last version whose modules the Go proxy serves completely; later ones add formats that aren't needed here.
package deb
