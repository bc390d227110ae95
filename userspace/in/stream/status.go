package stream

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// Count is a number of packets, and of bytes.
type Count struct{ Packets, Bytes uint64 }

func (c *Count) add(o Count) {
	c.Packets += o.Packets
	c.Bytes += o.Bytes
}

// ConnCounts is the account of one connection, or of all. At rest
//
//	Read.Packets = Queued.Packets + Consumed.Packets + Dropped.Packets
//	Read.Bytes   = Queued.Bytes + Consumed.Bytes + Dropped.Bytes + Partial
//
// Bytes are those of the byte stream: under TLS, the decrypted ones.
type ConnCounts struct {
	Read     Count
	Queued   Count // for the Source
	Consumed Count // by the handler
	Dropped  Count // Status.Reasons tells why
	Partial  uint64
	Sent     Count
	Unsent   Count // refused by Send, or left over at the end
}

func (c *ConnCounts) add(o ConnCounts) {
	c.Read.add(o.Read)
	c.Queued.add(o.Queued)
	c.Consumed.add(o.Consumed)
	c.Dropped.add(o.Dropped)
	c.Partial += o.Partial
	c.Sent.add(o.Sent)
	c.Unsent.add(o.Unsent)
}

type counter struct{ packets, bytes atomic.Uint64 }

func (c *counter) add(packets, bytes uint64) {
	c.packets.Add(packets)
	c.bytes.Add(bytes)
}

func (c *counter) read() Count { return Count{c.packets.Load(), c.bytes.Load()} }

type connCounters struct {
	read, queued, consumed, dropped, sent, unsent counter
	partial                                       atomic.Uint64
}

func (c *connCounters) sums() ConnCounts {
	return ConnCounts{
		Read: c.read.read(), Queued: c.queued.read(), Consumed: c.consumed.read(), Dropped: c.dropped.read(),
		Partial: c.partial.Load(), Sent: c.sent.read(), Unsent: c.unsent.read(),
	}
}

// ConnStatus describes a connection.
type ConnStatus struct {
	ID            uint64
	Remote, Local netip.AddrPort
	Dialed        bool
	TLS           bool
	Version       string // of TLS, such as "TLS 1.3"; empty for a plain connection
	Certificate   string // fingerprint of the peer's certificate; empty if there is none
	Ready         bool   // the handshake is done
	Since         time.Time
	LastRead      time.Time // zero: nothing yet
	LastWrite     time.Time
	Counts        ConnCounts
	Waiting       Count // in the outgoing queue
}

// Status describes the connection.
func (c *Conn) Status() ConnStatus {
	st := ConnStatus{
		ID: c.id, Remote: c.remote, Local: c.local, Dialed: c.dialed, TLS: c.tls != nil, Ready: c.ready.Load(),
		Since: c.began, LastRead: c.at(&c.lastRead), LastWrite: c.at(&c.lastWrite), Counts: c.counts.sums(),
	}
	st.Waiting.Packets, st.Waiting.Bytes = c.out.waiting()
	if st.TLS && st.Ready {
		st.Version = c.tls.version()
		if cert := c.tls.certificate(); cert != nil {
			st.Certificate = Fingerprint(cert)
		}
	}
	return st
}

func (c *Conn) at(ns *atomic.Int64) time.Time {
	d := ns.Load()
	if d == 0 {
		return time.Time{}
	}
	return c.began.Add(time.Duration(d))
}

// ReasonCount is what happened for one reason.
type ReasonCount struct {
	Conns   uint64 // connections that ended, or were refused, or attempts that failed
	Dropped Count
}

// Status describes a Stream. At rest, besides the account of ConnCounts,
//
//	Totals.Queued    = Delivered + what waits in the queue + Reasons[Unread].Dropped
//	Totals.Dropped   = the sum of Reasons[].Dropped but Unread, SendFull and Unsent
//	Accepted + Dialed = open connections + the sum of Reasons[].Conns
type Status struct {
	Conns    []ConnStatus // open, in the order of their ids
	Peers    []PeerStatus
	Accepted uint64 // connections that the system accepted, the refused ones among them
	Dialed   uint64 // attempts to open a connection
	Totals   ConnCounts
	// Delivered is what Receive handed out.
	Delivered Count
	// Waiting is how many reads wait in the queue, of Room.
	Waiting, Room int
	// Blocks is how many blocks are in use; Reserved how many of them count against the budget.
	Blocks, Reserved, Budget int64
	BlockBytes               int
	Reasons                  map[Reason]ReasonCount // those that happened
}

// Status describes the stream. While packets flow its numbers are close to each other, but not of one moment.
func (s *Stream) Status() Status {
	st := Status{
		Room: len(s.queue.runs), Waiting: s.queue.length(),
		Blocks: s.pool.out.Load(), Reserved: s.pool.used.Load(), Budget: s.pool.budget, BlockBytes: s.pool.size,
		Reasons: make(map[Reason]ReasonCount),
	}
	s.mu.Lock()
	st.Totals, st.Accepted, st.Dialed = s.past, s.opened.accepted, s.opened.dialed
	for c := range s.conns {
		cs := c.Status()
		st.Conns = append(st.Conns, cs)
		st.Totals.add(cs.Counts)
	}
	peers := make([]*Peer, 0, len(s.peers))
	for p := range s.peers {
		peers = append(peers, p)
	}
	s.mu.Unlock()
	for _, p := range peers {
		st.Peers = append(st.Peers, p.Status())
	}
	slices.SortFunc(st.Conns, func(a, b ConnStatus) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(st.Peers, func(a, b PeerStatus) int { return cmp.Compare(a.URL.String(), b.URL.String()) })
	st.Delivered = Count{s.queue.delivered.packets.Load(), s.queue.delivered.bytes.Load()}
	for r := range s.reasons {
		c := &s.reasons[r]
		rc := ReasonCount{Conns: c.conns.Load(), Dropped: Count{c.packets.Load(), c.bytes.Load()}}
		if rc != (ReasonCount{}) {
			st.Reasons[Reason(r)] = rc
		}
	}
	return st
}
