// Package egress passes every change of the table on to any number of backups as it happens.
//
// The engine hands changes to Forward, which copies each packet once into a journal, a ring of memory that all
// destinations share, and is done. Every destination has a goroutine with a reading position of its own in it:
//
//	engine --Forward--> journal [ oldest ......................... newest ]
//	                               ^ Tail of a slow destination       ^ Tail of a fast one
//	                               |                                  |
//	                            shield, pace, Sink.Send            shield, pace, Sink.Send
//
// So "a queue for each destination" is a position, and its bound is the size of the journal (Config.Journal, 64 MiB unless
// told otherwise: some 140,000 events of 450 bytes). A destination that doesn't keep up falls behind until the writer
// laps it; then it loses the oldest events, counted exactly by sequence numbers, while the others and the engine notice
// nothing. A destination whose name is not resolved yet, or that this host has no route to, simply doesn't read.
//
// The journal is divided into segments of 256 KiB. A reader pins the segment that it reads and takes a view of it, without
// copying and without the lock; bytes once written don't change until the writer takes the segment for new ones, and it
// leaves a pinned one alone and takes a fresh one instead.
//
// What goes out is decided by package shield. An event never goes back to the address it came from, and the engine
// hands on only what changed the table, so that two appliances that point at each other, or a ring of them, fall silent.
//
// # States of a destination
//
//	resolving --> up <--> refused       an ICMP message said that nobody listens there
//	               ^----> unreachable   there is no way to it, said by ICMP or by this host
//
// UDP says nothing when all is well. So a destination is up again once packets have been sent for a while (recovery) and
// nobody complained. Each change of state is one line in the log. Names are resolved again, in the background, as long as
// their destination is not up.
//
// # Tail
//
// A Tail is also what a resync needs to send what changes while it runs.
package egress
