// Package datagram is the meeting point of the two ways in.
//
// A datagram is the payload of one UDP packet together with where it came from and when. Datagrams
// travel in a Batch: the engine reads one Batch after another from a Source, and no code behind
// that point knows whether a BPF ring buffer (package ring) or a UDP socket (package socket) filled it.
//
//	ring, socket --Receive--> Batch --> engine --Release--> ring, socket
//
// Payloads are views into memory that the Source owns. They are valid from Receive to Release of the
// same Batch and not a moment longer; whoever wants to keep one copies it.
//
// The package is a leaf: it knows no other package of ours, and of the wire format only where the
// steering key lies (see SteeringKey).
package packets
