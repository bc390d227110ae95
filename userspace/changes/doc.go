// Package changes is where all ways out begin.
//
// A change is an event that altered a table. The engine makes one Change of each such event and hands it to an Outlet, which
// passes it on: to UDP backups (package egress), to the members of a cluster, to a log.
//
//	event --Apply--> table --Change--> Outlet
//
// A Change carries the body of its dialog in the layout in which it arrived, and what everybody needs to know without looking
// into it: capability, kind, key, who sent it, and its Stamp. Each sender encodes it for its receiver (see
// Dialect). If the receiver speaks the layout and nothing has to be changed, it gets the very packet that came, which is why
// Bytes is that packet wherever there is one.
//
// # The stamp
//
// The stamp says which appliance took the event in, and which number that appliance gave to the change. It stays the same
// however often the change is passed on. So a receiver can tell that it has seen a change before. Sequence numbers of one
// origin have no gaps. The changes of one dialog leave in the order of their numbers; changes of different dialogs may
// overtake each other by a few.
//
// The package does no I/O and keeps no state.
package changes
