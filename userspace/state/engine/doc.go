// Package engine applies what sources deliver to the table, and passes on what changed it.
//
// One worker serves one source. It takes a batch through five stages, and keeps nothing but counters from one batch to the next:
//
//	Receive   a batch of packets, in place                            (package ring or socket)
//	decode    verify each and read it into an event, in place         (package bin1)
//	group     by shard, keeping the order of arrival
//	apply     shard by shard: lock, apply, hand on what changed, unlock  (package dialog)
//	account   one outcome or one verdict for every packet
//
// Then Release gives the memory of the batch back. A recorder, if there is one, sees the batch after Receive. Nothing in these stages
// allocates, reads a clock for an event, or logs. What changed the table is handed on under the shard's lock. So the changes of one call
// leave in the order in which they were applied, whichever worker applied them. The outlet copies and never blocks.
//
// The engine gives every change its stamp (package changes): the number of this appliance, and a sequence number.
//
// Packets come in by intakes: listen addresses, clusters, a log. Each intake has an account, and the account adds up: packets received
// = one verdict or one outcome each. A test checks it after every run.
//
// Four more goroutines work in the background. One expires what is due, once a second. One takes memory ahead of need. One writes the
// notices that workers left, so that a blocked log never reaches a worker. One makes room in the register of sources (room.go). Progress shows a worker that is stuck, and expiry that
// waits for a lock.
package engine
