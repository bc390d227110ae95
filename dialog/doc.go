// Package dialog is the model: dialogs, the events that change them, and the table that holds millions of them.
//
// # The idea
//
// An Event is a decoded change; its bytes are views into a datagram. Table.Lock gives one Shard, Shard.Apply
// plays events upon it by the rules in rules.go and tells of each what became of it (Outcome). Everything
// that is kept is copied once, from the datagram into a slot of the table.
//
//		Event --hash--> Shard --tag--> index page --ref--> record, record, ...   (one chain a Call-ID)
//		                                                    |
//		                                    chunk: [deadlines | slot | slot | slot ...]
//
//	  - A shard is chosen by the steering hash that came with the datagram, so that one call has one shard, and a
//	    shard one ring. Inside the shard the index goes by another hash, the tag, seeded at random for each table.
//	  - The index (index.go) is a directory over pages of 512 slots, by the top bits of the tag. It grows by
//	    splitting one full page, never by copying the whole. One slot stands for one Call-ID.
//	  - A record (record.go) is a header of 28 bytes and the packed dialog. All records of one Call-ID hang in one
//	    chain. A dialog that ended leaves its header and key, the tombstone, for a while.
//	  - Records lie in slots of equal size within chunks of 64 KiB (slab.go). Each chunk begins with the deadlines of its slots
//	    and knows a lower bound of them, so that expiry (expire.go) skips the chunks whose time hasn't come.
//	  - Chunks and index pages come out of one arena (arena.go), memory outside the heap: the garbage collector sees
//	    a few slices, whatever the number of dialogs.
//
// # Time
//
// The package reads no clock. Times are Unix seconds, passed in, and held in 32 unsigned bits (until 2106); sums saturate.
//
// # Locks
//
// Each shard has a lock, and nobody holds two. The arena has a lock of its own, taken under a shard's
// for the few instructions of handing out a chunk, and never the other way round.
package dialog
