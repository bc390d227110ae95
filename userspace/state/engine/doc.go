// Package engine applies what sources deliver to the table, and passes on what changed it.
//
// One worker serves one source. It takes a batch through five stages and keeps nothing between batches but counters:
//
//	Receive   a batch of datagrams, in place                          (package ring or socket)
//	decode    verify each and read it into an event, in place         (package bin)
//	group     by shard, keeping the order of arrival
//	apply     shard by shard: lock, apply, hand on what changed, unlock  (package dialog)
//	account   one outcome or one verdict for every datagram
//
// then Release gives the memory of the batch back. A recorder, if there is one, sees the batch behind Receive. Nothing in these stages allocates, reads a clock for an
// event, or logs. What changed the table is handed on under the shard's lock, so the events of one call leave in the order in
// which they were applied, whichever worker applied them; the Outlet copies and never blocks.
//
// The account adds up: datagrams received = one verdict or one outcome each. A test checks it after every run.
//
// Two more goroutines keep house: one expires what is due, once a second, and one writes the notices that workers left, so that
// a blocked log never reaches a worker. A worker that hangs, and a lock that hangs for expiry, show by Progress.
package engine
