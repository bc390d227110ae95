// Package egress passes every change of the table on to any number of backups as it happens.
//
// The engine hands changes to Forward, which copies each one once into a journal. The journal is a ring of memory that all
// destinations share. Every destination has a goroutine, with a reading position of its own:
//
//	engine --Forward--> journal [ oldest ......................... newest ]
//	                               ^ Tail of a slow destination       ^ Tail of a fast one
//	                               |                                  |
//	                            shield, pace, Sink.Send            shield, pace, Sink.Send
//
// So the queue of a destination is a position, and the size of the journal bounds it (Config.Journal, by default 64 MiB: some
// 140,000 changes). A destination that doesn't keep up falls behind until the writer reaches its position from behind. Then it
// loses the oldest changes, which are counted exactly, while the others and the engine notice nothing. A destination whose name
// is not resolved yet, or that there is no way to, simply doesn't read.
//
// The journal is divided into segments of 256 KiB. A reader pins the segment that it reads and takes a view of it, without
// copying and without the lock. The bytes of a pinned segment don't change: a writer that needs its place takes a fresh segment.
//
// An entry of the journal is a changes.Change. It says nothing about any receiver. Each destination encodes for itself, by its
// shield: package shield decides what goes out, in the destination's dialect. A change never goes back to the address that it
// came from, and the engine hands on only what changed the table. A destination that is another binrepd (greet.go) gets changes with
// their stamps, and none that it took in itself. So each appliance of a ring or a mesh passes a change on once.
//
// # States of a destination
//
//	resolving --> up <--> refused       the destination doesn't want packets (packets.ErrRefused)
//	               ^----> unreachable   there is no way to it (packets.ErrNoRoute)
//
// Once packets have been lost, at a destination that refuses them or behind a route that ended, no more are sent. They wait in the
// journal, while one question a second tests whether the destination is back. Then it lacks something until it is synced
// (DestinationStatus.NeedsSync).
//
// The sink tells of failures, at once or some time later (packets.Reporter). It says nothing when all is well. So a destination
// is up again once packets have been sent for a while (recovery) and no failure was reported. Each change of state is one line
// in the log. Names are resolved again and again, in the background, also while their destination is up.
//
// # Tail
//
// A resync reads a Tail, too: it sends what changes while it runs.
package egress
