// Package dialog is the model of calls: dialogs, the events that change them, and the table that holds millions of
// them.
//
// # The idea
//
// An Event is a decoded change; its bytes are views into a packet. Table.Lock gives one Shard. Shard.Apply plays events
// on it by the rules in rules.go and says of each what became of it (Outcome). What the table keeps is copied once,
// from the packet into an entry of the store.
//
//	Event --steering hash--> Shard --index hash--> entry --> entry --> ...    (one chain for each Call-ID)
//
// The parts:
//
//   - The package userspace/state/store has the memory, the index, the expiry and the locks, and knows no dialogs. This
//     package says what an entry holds, compares keys and decides.
//   - An entry (entry.go) is a header of 35 bytes and the packed dialog. All entries of one Call-ID hang in one chain.
//     A dialog that ended leaves its header and key, the tombstone, for a while.
//   - The steering hash that came with the packet chooses the shard. So one call has one shard, and a shard has one
//     ring. Inside the shard another hash with a seed of its own, the tag, chooses the chain.
//
// # Time
//
// The package reads no clock. Times are Unix seconds, passed in, and held in 32 unsigned bits (until 2106); sums
// saturate.
//
// # Locks
//
// Each shard has a lock, and a goroutine never holds two. Counts reads what shards have published and takes no lock.
package dialog
