// Package packets is where all ways in meet.
//
// A packet is one BIN packet, with its sender and the time at which it was received. Packets travel in a Batch. The engine
// reads one Batch after another from a Source. Behind that point no code knows whether a ring of the XDP program (package
// ring), a socket (package socket), a TCP connection or a log filled the Batch.
//
//	ring, socket, ... --Receive--> Batch --> engine --Release--> ring, socket, ...
//
// Payloads are views into memory that the Source owns. They are valid from Receive to Release of the same Batch. Code that
// needs one for longer copies it.
//
// # Who and where
//
// A Sender tells who sent a packet: an endpoint, or a node of a cluster. An Intake tells which door the packet came in by:
// a listen address, a cluster, a log. Each intake has a row of its own in the account.
//
// # The way out
//
// A Sink is the way out for packets. It tells by ErrRefused, ErrNoRoute and ErrFull what is wrong with a destination, and no
// user of a Sink knows the errors of UDP, of TCP or of a log. A sink that learns of a failure only after it took the message
// is a Reporter, too.
//
// The package is a leaf: it imports no other package of ours. Of the wire format it knows only where the steering key lies
// (see SteeringKey).
package packets
