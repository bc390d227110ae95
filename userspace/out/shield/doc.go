// Package shield decides what may leave the appliance, and in what form.
//
// OpenSIPS trusts what it receives. Its receiver crashes on an empty Call-ID or a negative length, writes past an array
// on more than 64 routes a leg, lists a dialog in a state other than answered and confirmed for ever, and reads uninitialised
// memory over a list of variables that it can't parse. One packet of that kind, passed on by a replica, would stop every
// standby at once. So each change goes through a Shield on its way to a destination. The Shield does one of three things:
//
//	change --> Shield --> the very packet that came   (nearly always)
//	               |----> a packet built anew         (a socket rewritten, a flag cleared, an ended dialog as a deletion)
//	               '----> held back, with a Reason    (counted, and shown by name)
//
// Packets are built in the dialect of the destination (changes.Dialect). A change in a layout that the destination doesn't speak
// is held back: one of generation 2 goes to other appliances only, as it came and with a stamp.
//
// Some dialogs OpenSIPS refuses with a line in its log and no harm: those without a callee's socket, which the proxy answered
// itself, and those whose route set doesn't parse. They are not held back, because another binrepd makes good use of them. The
// former are counted (Report.NoSocket), since a standby will lack them.
//
// # Sockets
//
// OpenSIPS refuses a dialog whose two sockets are not its own. SocketRewrite replaces them on the way out if they match exactly.
// Sockets that no rule names are counted and listed, so that the operator sees beforehand what the standby would refuse.
package shield
