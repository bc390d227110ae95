// Package layout knows how the fields of a dialog lie in bytes, in every layout that an OpenSIPS sends: that of
// generation 1 (1.10 to 2.1) and those of generation 2 (2.4.0 to the development line after 4.0).
//
// # The idea
//
// All layouts have the same fields in the same order; each leaves some out. A layout is therefore a set of fields, a
// width of lengths, and a form of lists, and the table in layouts.go is all that tells one from another:
//
//	string   its length (2 bytes; 4 in generation 1), little endian, then so many bytes of any value
//	number   4 bytes, little endian
//
// This is "bin 4", of 3.1.6 to 4.0. It has everything but the two intervals of pings of "bin 5":
//
//	 Call-ID  from-tag  to-tag | from-URI  to-URI | h_id  start  state |
//	'---------- key ----------'                   '---- 3 numbers ----'
//	 sockets  CSeqs  route sets  contacts  mangled URIs | 4 SDPs  advertised contacts | values  profiles |
//	                                                    '------- 0, 2 or 6 strings --'
//	 user-flags  module-flags  flags  timeout  generated CSeqs | names of three routes
//	'------------------ 5, 6 or 8 numbers --------------------' '---- may be absent --'
//
// # Reading
//
// Parse walks a body once and notes where each field begins in a View, which holds no copy and allocates nothing. It
// insists that the body ends where the layout ends. The packet version alone doesn't tell the layout; a Detector for
// each peer finds it out (detect.go). Values and profiles are lists within a string, which Pairs walks; FlagsOf,
// RoutesOf and ProfileCountsOf walk the rest.
//
// # Writing
//
// Fields.Append encodes a dialog, ApplyValue and ApplyCSeq apply the small messages to one, SetNumber writes a number
// in place. What is read and encoded again has the same bytes. Convert brings a dialog from one layout into another
// by the table in convert.go, and reports what the other one has no place for.
//
// # Rules
//
// The package does no I/O, reads no clock and keeps no state. No bytes make it panic. A Fault names what is wrong
// with them.
package layout
