// Package bin2 is generation 2 of the BIN wire format: what OpenSIPS 2.4 to 4.0 send over TCP between the members
// of a cluster. It cuts packets from a stream, reads their headers, and decodes and encodes the messages of the
// clusterer module. The bodies of other capabilities (dialogs, contacts) belong to other packages.
//
// A stream is a plain sequence of packets, without a preamble and without a checksum:
//
//	 0        4        8         10      12     12+n   16+n           -12       -8       -4
//	+--------+--------+---------+-------+------+------+--- - - ------+---------+--------+-------------+
//	| "P4CK" | length | version | n,u16 | name | type | fields ...   | cluster | source | destination |
//	|        | u32    | i16     |       | n    | i32  |              | i32     | i32    | i32         |
//	+--------+--------+---------+-------+------+------+--- - - ------+---------+--------+-------------+
//	                                                                  \______ the trailer ____________/
//
// The length counts the whole packet. The name is that of a capability, and types are numbered per capability. All
// integers are in the sender's byte order, which is little endian on every machine that OpenSIPS runs on today. A
// string is a u16 length and that many bytes. Every packet has the trailer, except those of the capability
// "clusterer-internal": their first two fields are the cluster and the source.
//
// The layout differs a little between releases: see Dialect. A packet tells by itself how it is to be read (KindOf),
// so reading needs no knowledge of the peer. Writing does.
//
// Everything that is decoded is a view into the packet, which the caller must not change as long as it uses the view.
// Decoding is strict: a body that is not consumed exactly to its end is refused. The package does no I/O, keeps no
// state, and allocates nothing.
//
// Source of all formats and numbers: observation of the releases 2.4.11, 3.4.18, 3.6.8 and 4.0.1; docs/protocol.md
// describes them.
package bin2
