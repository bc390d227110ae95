// Demo shows the appliance at work: a simulated proxy sends the packets of a few hundred calls, binrepd receives them,
// and commands show its state.
//
// As root it makes two network namespaces joined by a veth pair, one for the proxy and one for the appliance. So XDP
// runs in native mode, and the host's own network is not touched. Both end with the demo. Without privilege it uses
// loopback and plain sockets, and says so.
package main
