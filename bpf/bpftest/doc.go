// Package bpftest has helpers for tests that need a kernel: a check whether such tests may run (RequireKernel), private
// network namespaces with veth pairs (Namespace), hand-made frames (Frame), and the captures of real senders (Capture).
//
// Nothing here touches the network of the host. Traffic stays in namespaces that the test made, and a namespace ends
// with its test.
package bpftest
