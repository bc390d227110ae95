// Notices prints the licences and notices of what is linked into a program: of Go's own library, and of every module from which a package comes,
// as the module has them beside that package or in a folder above it. MIT, BSD and Apache-2.0 ask that they go along with the
// program. A module without any is an error.
//
//	go run ./deploy/notices [-arch arm64] ./cmd/binrepd
package main
