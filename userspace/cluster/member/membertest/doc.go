// Package membertest has model nodes of a cluster: they behave as OpenSIPS does, on real sockets of the loopback, for
// tests of what joins their cluster.
package membertest
