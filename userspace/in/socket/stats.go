package socket

import "sync/atomic"

// Stats are the counters of a socket since it was opened.
type Stats struct {
	// Received datagrams were delivered, with ReceivedBytes of payload in Batches batches.
	Received, ReceivedBytes, Batches uint64
	// Reads is how often somebody looked for datagrams, with or without finding any.
	Reads uint64
	// Truncated datagrams were longer than Config.MaxDatagram and were not delivered.
	Truncated uint64
	// Denied and RateLimited datagrams were not delivered because Config.Admit said so.
	Denied, RateLimited uint64
	// Dropped datagrams were lost in the kernel: the receive buffer was full, rarely a wrong UDP checksum.
	Dropped uint64
	// Waiting is how many bytes of the receive buffer are in use now, as the kernel charges them.
	Waiting uint64

	// Sent messages were taken by the kernel, with SentBytes of payload.
	Sent, SentBytes uint64
	// Merged are those of Sent that left in runs, several handed to the kernel as one.
	Merged uint64
	// SendErrors are messages that the kernel refused on the spot, as Send returned them.
	SendErrors ErrorCounts
	// Reported are errors that the network reported later, about messages counted in Sent.
	Reported ErrorCounts
}

// receiveCounters are written by the goroutine in Receive, sendCounters by those in Send. The padding
// keeps them, and what follows in Socket, on cache lines of their own; 128 bytes because processors fetch lines in
// pairs.
type receiveCounters struct {
	_                                    [128]byte
	datagrams, bytes, batches, truncated atomic.Uint64
	denied, limited, reads               atomic.Uint64
}

type sendCounters struct {
	_                [128]byte
	messages, bytes  atomic.Uint64
	merged           atomic.Uint64
	failed, reported errorCounters
	_                [128]byte
}

// Stats returns the counters. Any goroutine may call it, after Close, too.
func (s *Socket) Stats() Stats {
	dropped, waiting := s.kernelCounts()
	return Stats{
		Received:      s.rcv.datagrams.Load(),
		ReceivedBytes: s.rcv.bytes.Load(),
		Batches:       s.rcv.batches.Load(),
		Reads:         s.rcv.reads.Load(),
		Truncated:     s.rcv.truncated.Load(),
		Denied:        s.rcv.denied.Load(),
		RateLimited:   s.rcv.limited.Load(),
		Dropped:       dropped,
		Waiting:       waiting,
		Sent:          s.snd.messages.Load(),
		SentBytes:     s.snd.bytes.Load(),
		Merged:        s.snd.merged.Load(),
		SendErrors:    s.snd.failed.load(),
		Reported:      s.snd.reported.load(),
	}
}
