// Package bpftest is what tests that need a kernel share: the question whether they may run (RequireKernel), network
// namespaces of their own with veth pairs (Namespace), frames made by hand (Frame), and the captures of real
// senders (Capture).
//
// Nothing here touches the network of the host: traffic stays in namespaces that the test made, and a namespace goes
// away with the test that made it.
package bpftest
