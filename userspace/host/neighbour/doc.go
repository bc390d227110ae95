// Package neighbour waits until the kernel knows the link address of a host on the local network.
//
// The first packet to a neighbour starts a lookup (ARP, or neighbour discovery of IPv6), which takes up to 3 s to fail. Until
// then the kernel takes packets and drops all but a few. So a sender that doesn't wait counts packets as sent that never leave,
// and may be done before the lookup fails.
package neighbour
