// Package stream carries BIN packets of generation 2 over TCP and TLS, in both directions, between this member and the
// others of a cluster. It listens, dials, cuts packets, and writes; what a packet says is not its concern.
//
//	Listen --accept--.                    .--> Handler.Packet (in place: answers PING, may consume)
//	                  > Conn --read--> block --> run --> queue --Receive--> packets.Batch --> engine
//	Dial --connect---'   |                                                      |
//	                     |              pool <---------- blocks ----------- Release
//	Conn.Send --copy--> outgoing queue --write--> socket
//
// A Stream has any number of connections, of one peer or of many, accepted or dialled, and is one packets.Source for
// all of them. The order of the packets of one connection is kept; OpenSIPS promises no other.
//
// # Reading
//
// Each connection has one goroutine. It reads into a block, as much as the socket has, cuts whole packets in place by
// marker and length, shows each to the Handler, and puts the rest into the queue as one run: the packets that lie
// side by side in the block. Receive cuts the run again and hands out views. No byte is copied and nothing is
// allocated for a packet; only the part of a packet at the end of a block moves, once, to the next block. A block
// returns to the pool when the reader and the consumer have both let go of it. A connection without traffic holds no
// block after a second or two.
//
// # A slow consumer
//
// A reader never waits for the consumer: if it did, the write queue of the OpenSIPS on the other side would fill, and
// that OpenSIPS would drop the connection with all that waits in it and tell nobody. The queue is bounded instead:
//
//	reads that wait <= Limits.QueueReads, and memory <= (2 x connections x Block) + QueueBytes
//
// When it is full, the newest whole packets are dropped and counted as QueueFull. Handler.Gap tells when that begins,
// and when at most half of the queue is full again: then a sync can repair what is missing. The Handler still sees
// every packet, so PING is answered however slow the consumer is.
//
// # Sending
//
// Send copies a packet into the connection's outgoing queue and returns. One goroutine writes: one packet with one
// call, or several whole packets where more have come meanwhile, up to 64 KiB. What does not fit into the queue is
// refused and counted (SendFull). A peer that takes nothing for WriteTimeout is closed (Stuck).
//
// # Bounds
//
// A peer may be hostile, or broken. Everything it can make this side hold or wait for is bounded (Limits): the length
// of a packet, the time from its first byte to its last, the time until the first packet, idle time, the handshake,
// connections per address and in all, memory per connection. A connection that breaks a bound is closed. Every end,
// refusal and drop has a Reason and is counted under it; the first of each Reason goes to Config.Notice with its
// source. Half-open connections are found by keepalive and TCP_USER_TIMEOUT. All that was read is accounted for, see
// ConnCounts and Status.
//
// # TLS
//
// TLS 1.2 or later. Both sides give a certificate, and each must lead to a CA of the other. No names are compared,
// because OpenSIPS compares none; Config.VerifyPeer can pin a certificate to an address, Conn.PeerCertificate lets
// the Handler pin it to a node id. Under TLS 1.3 a dialled peer that refuses the certificate says so at the first
// read: the connection is Connected first, then ends with the reason OwnCertificate and the alert's text. A
// connection that ended young counts as a failed attempt, so that such a peer is not dialled at once for ever.
//
// # Stopping
//
// Stop closes the listeners and ends dialling. Each connection reads what its socket holds at this moment, and no
// more; Receive delivers all of it and then returns net.ErrClosed. What waits in the outgoing queues is sent, for
// WriteTimeout at most. Close waits for the end of every goroutine.
package stream
