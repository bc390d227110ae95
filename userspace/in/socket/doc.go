// Package socket receives and sends datagrams through ordinary UDP sockets, a batch with each system call.
//
// It is the way in on hosts without XDP, and everywhere for what the XDP program passes on: fragments,
// IP options, what finds its ring full. It is also the way out: Send uses the socket that
// listens, so that a backup sees events come from the address that it knows its peer by.
//
//	kernel buffer --recvmmsg--> arena --views--> packets.Batch        (Receive)
//	[]packets.Message --views--> sendmmsg --> kernel                  (Send)
//
// On Linux nothing is copied in user space and nothing is allocated for a datagram. Receive lets the
// kernel write into the slots of one arena, which the next Receive uses again; that is what Release
// stands for. Waiting is left to Go's poller, so an idle socket costs no thread and Stop
// wakes a waiting Receive by a deadline in the past.
//
// # Runs
//
// Sending costs the kernel far more than the system call: its layers, for each datagram. Messages of equal length to one
// destination that follow each other therefore go as one, a run, which the kernel cuts when it is through (run_linux.go). Nothing
// else changes: what arrives, the order, the count that Send returns. Where the kernel refuses, the same messages are sent one by
// one. If the order of many messages doesn't matter, sort them by length.
//
// # Losses
//
// The kernel drops a datagram when the receive buffer is full. Stats reads its own counter of drops, which
// is right at rest, too, when no datagram follows that could report them:
//
//	datagrams that reached the socket = Received + Truncated + Denied + RateLimited + Dropped
//
// # Stopping
//
// Stop puts a filter on the socket that refuses all that arrives from then on. So what the buffer
// holds at that moment, and nothing else, is still delivered before Receive returns net.ErrClosed, however
// much keeps coming. Sending goes on until Close.
//
// # Errors of the network
//
// UDP learns of a dead destination by ICMP, some time after the message was sent. The kernel keeps such errors in a queue
// beside the socket, with the destination that each is about. Besides, it makes the next call on the socket fail, whichever
// that is. Receive and Send read that queue when it happens, tell the functions of Watch, and repeat the call that failed. So
// no error about one destination disturbs receiving, or sending to another. Nothing outside of this package knows of ICMP or
// of that queue: all that others see is packets.Reporter.
//
// # Other systems
//
// Elsewhere (and with the build tag "portable", for testing) the same API stands on package net: one
// datagram a call, no kernel times, no count of drops, no errors of the network.
package socket
