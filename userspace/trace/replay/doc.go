// Package replay sends recorded packets again, with the original pauses or with shorter ones.
//
// It sends datagrams, one packet in each, also for what came by a TCP connection: that is how appliances pass packets of
// generation 2 on to each other. To play a node of a cluster would need another member's answers, and a receiver that
// takes the replay for a live node. So what nodes say about the cluster itself (pings, topology, capabilities, tags) is
// left out, and each dialog of a sync becomes an update.
//
// Everything else is sent as it was received, byte for byte, including bad packets, with two exceptions. A mark that an
// appliance added to an event of generation 1 is removed, because a receiver that has seen the event by that mark drops
// it. And dialogs have absolute times, so those of an old recording would expire as soon as they are replayed: with
// Config.Shift the times in good packets are moved forward by the age of the recording.
package replay
