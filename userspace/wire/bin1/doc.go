// Package bin1 is the wire format of BIN generation 1: it decodes packets to dialog events, and encodes them.
//
// The first generation is what OpenSIPS 1.10, 1.11 and 2.1 send over UDP. One datagram is one packet:
//
//	 0        4          8        12            12+L      16+L
//	+--------+----------+--------+-------------+---------+-----------------
//	| "P4CK" | checksum | length | capability  | command | fields ...
//	|        | u32      | L, i32 | L bytes     | i32     |
//	+--------+----------+--------+-------------+---------+-----------------
//
// Integers are in the sender's byte order, little endian on every machine that OpenSIPS runs on today. The
// checksum is CRC-32/JAMCRC (the complement of the usual CRC-32) of everything from offset 8 on. The fields of
// the commands create (1) and update (2) of capability "dialog" are those of dialog.Packed, in that order and
// encoding; delete (3) carries the first three. So a decoded event is a set of views into the packet, and an
// encoded one is a header in front of packed bytes.
//
// Decoding is strict: a packet is refused as a whole unless its fields end exactly where it ends. Real senders emit
// packets that lack one string, with a right checksum, when the variables don't fit.
//
// The package does no I/O and keeps no state.
package bin1
