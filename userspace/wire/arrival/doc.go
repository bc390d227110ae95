// Package arrival is the packet by which one binrepd asks another how much of what it sent has arrived.
//
// BIN over UDP acknowledges nothing. Two binrepds can do better: a receiver counts for each source the plain events that
// came, and adds up a digest of each. The sender asks for both before a sync, and again behind it. If they grew by what was
// sent, everything has arrived, in whatever order.
//
//	sender                                        receiver
//	  | -- Question{Nonce, Port} ------------------> |
//	  | <- Answer{Nonce, Count, so far} ------------ |
//	  | == events ================================>  |
//	  | -- Question{Nonce, Port} ------------------> |
//	  | <- Answer{Nonce, Count, now} --------------- |   now - so far = what was sent?
//
// Both are packets of the capability "binrepd". A question goes to the port of the events, and passes the same list of allowed
// sources. The answer goes to a port that the sender chose, so that the receiver need not be allowed there. An OpenSIPS ignores a
// capability that it doesn't know, and logs nothing. So it doesn't answer.
//
// A packet's layout, all numbers little endian:
//
//	"P4CK" | checksum u32 | 7 u32 | "binrepd" | command u32 | version u32 | nonce u64 | port u32 [| events u64 | digest u64]
//
// The commands are 16 and 17; 1 to 15 are those of package bin1. The checksum is that of every BIN packet.
package arrival
