// Package doctor examines a host and its network interfaces: whether binrepd can run there at full function, and what to
// change if not.
//
//	/proc, /sys, netlink --> facts --judged--> Finding
//	bpf.Try: the XDP program attached on the spot --> facts
//	a running appliance, and package tuning --> advice that makes it faster
//
// Reading facts and judging them are separate, so that tests judge made-up hosts. Nothing is changed: Examine removes what
// it attached. Full function means that packets come through XDP, native or generic.
package doctor
