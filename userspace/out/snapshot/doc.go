// Package snapshot copies entries of the table, step by step, so that a shard is locked only while its bytes are
// copied. A sync session and a save read the table this way; what they do with the copies happens without any lock.
package snapshot
