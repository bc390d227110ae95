// Package bridge passes calls of one cluster into another one. It decides and encodes; it has no connections, no
// goroutines and no clock.
//
//	journal of changes --Change--> from a node of the cluster From? --> no bridge itself? --> tag? --> each node of To
//
// The appliance is a node of both clusters, and sends as the maker of those calls in the second one, to each node in its
// own layout.
//
// # The guard against loops
//
// A call is passed on once: from the cluster in which a proxy told of it, into another. What a bridge has brought into a
// cluster isn't passed on from there. This appliance never receives what it sent itself. Another appliance is known by
// the capability that each bridge announces in the cluster into which it passes calls: its name says which clusters it
// joins (Announced). So neither two bridges between the same clusters nor a ring of clusters can make a packet circulate.
package bridge
