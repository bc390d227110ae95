// Notices prints the licences and notices of everything that is linked into a program: those of Go's standard library,
// and of every module, from the folder of the package or from one above it. MIT, BSD and Apache-2.0 require that they
// are distributed with the program. A module without any is an error.
//
//	go run ./deploy/notices [-arch arm64] ./cmd/binrepd
package main
