// Package store holds millions of small entries outside the heap, finds them by a key's hash and drops them when their
// time is over. It knows nothing of what the entries mean. A model (package dialog is one) says what lies in an entry,
// compares keys and decides by its rules.
//
// # The idea
//
//	key --Hash--> tag --index page--> Ref --> entry --> entry --> ...    (the chain of one tag and key)
//	                                            |
//	                    chunk of 64 KiB: [deadlines | slot | slot | slot ...]
//
// The parts:
//
//   - Shards is the container: a number of shards, each with a lock of its own. A model has a shard type S that holds a
//     Shard; Shards[S] makes them, locks them, expires them and scans them.
//   - An entry (entry.go) is a header of HeaderSize bytes and behind it what the model puts there. All entries that
//     belong together, such as the dialogs of one Call-ID or the contacts of one address of record, hang in one chain.
//     The store follows chains, but only the model knows which key a chain has: two keys may have the same tag.
//   - The index (index.go) leads from a tag to chains. It is a directory over pages of 512 slots, by the tag's first
//     bits. It grows by splitting one full page and shrinks by merging two pages that are nearly empty (merge.go).
//   - Entries lie in slots of equal size within chunks (slab.go). Each chunk begins with the deadlines of its slots and
//     knows a lower bound of them, so that expiry (expire.go) skips the chunks whose time hasn't come.
//   - Chunks for entries and for index pages come out of one arena (arena.go), which takes memory from the system by
//     mmap. The garbage collector sees a few slices, whatever the number of entries.
//
// # How a model uses it
//
// Under the lock of a shard: Lookup and LookupNext find chains by tag, Entry and Entry.Next walk them. A Spot remembers
// the place that was found. Insert, Resize and Remove change the chain there, SetDeadline says when an entry is due.
// For a batch of keys, Prefetch draws what all of them will need into the caches first. A Quota limits how many entries
// of a kind all shards together may have.
//
// # Time and hashes
//
// The package reads no clock: times are Unix seconds that the caller passes in, held in 32 unsigned bits. The hash of
// the index has a random seed for each Shards, because others choose the keys.
//
// # Locks
//
// Each shard has a lock, and a goroutine never holds two. The arena has a lock of its own. It is taken under a shard's
// lock, for the few instructions of dealing out a chunk, and never the other way round.
package store
