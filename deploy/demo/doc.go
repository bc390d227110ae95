// Demo shows the appliance at its main job: a simulated proxy sends the packets of a few hundred calls, binrepd takes them
// and is asked what it holds.
//
// As root it makes two network namespaces joined by a veth pair, one for the proxy and one for the appliance, so that XDP
// runs in native mode and nothing touches the host's own network; both vanish with the demo. Without privilege it uses
// loopback and plain sockets, and says so.
package main
