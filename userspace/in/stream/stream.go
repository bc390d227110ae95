package stream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"binrepd/userspace/in/packets"
)

// Verdict is what is to be done with a packet.
type Verdict uint8

const (
	Deliver    Verdict = iota // into the queue of the Source
	Consume                   // the handler has dealt with it
	Reject                    // drop it and count it
	Disconnect                // as Consume, and close the connection with reason Refused
)

// Handler sees what happens on connections. For one connection the calls come one after the other, from its reading
// goroutine: Connected, then Packet and Gap, then Disconnected. For several connections they come at the same time. A
// call delays the reading of that connection, so it must be quick; it may call any method of Conn, but not
// Stream.Close.
type Handler interface {
	// Connected tells of a connection that is ready, behind the TLS handshake. Under TLS 1.3 a dialled peer may still
	// refuse the certificate of this side; that shows at the first read, as Disconnected with reason OwnCertificate.
	Connected(c *Conn)
	// Packet sees each packet in place, before it is queued. payload is valid during the call only.
	Packet(c *Conn, payload []byte) Verdict
	// Gap tells of packets that were dropped because the consumer was too slow: once when it begins (Over is false),
	// and once when at most half of the queue is full again, or the connection ends. Then is the time to request a
	// sync.
	Gap(c *Conn, g Gap)
	// Disconnected tells of the end of a connection that was Connected. err is nil if the reason says it all.
	Disconnected(c *Conn, reason Reason, err error)
}

// Recording keeps copies of what comes in on one connection. Its methods are called from the reading goroutine and must
// not wait for a disk.
type Recording interface {
	// Record takes what one read brought: whole packets, side by side, and before the end of a broken connection the bytes
	// that are no packet. The slice is valid during the call only; received is in nanoseconds since the Unix epoch.
	Record(packets []byte, received int64)
	// End tells of the end of the connection.
	End(received int64)
}

// Gap is a row of dropped packets of one connection.
type Gap struct {
	Over           bool
	Packets, Bytes uint64 // dropped so far
}

// Stream is a set of TCP and TLS connections that feed one packets.Source: itself. All its methods are safe for
// concurrent use, but Receive and Release belong to one goroutine, and Close must not run while Receive may.
type Stream struct {
	cfg   Config
	pool  pool
	queue queue

	ctx    context.Context // ends with Stop
	cancel context.CancelFunc
	all    sync.WaitGroup // every goroutine
	reads  sync.WaitGroup // connections that may still push

	mu        sync.Mutex
	stopping  bool
	listeners map[*Listener]struct{}
	peers     map[*Peer]struct{}
	conns     map[*Conn]struct{}
	accepted  int                // of conns
	addresses map[netip.Addr]int // accepted conns by address
	lastID    uint64
	past      ConnCounts // of connections that ended
	opened    struct{ accepted, dialed uint64 }

	reasons [reasons]struct{ conns, packets, bytes atomic.Uint64 }
	noticed [reasons]atomic.Bool
	closing sync.Once
}

var _ packets.Source = (*Stream)(nil)

var errNoRoom = errors.New("receive: the batch has no room for a packet")

// New returns a Stream without connections. It must be closed.
func New(cfg Config) (*Stream, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	s := &Stream{
		cfg:       cfg,
		pool:      pool{size: cfg.Limits.Block, budget: int64(max(1, cfg.Limits.QueueBytes/cfg.Limits.Block))},
		listeners: make(map[*Listener]struct{}),
		peers:     make(map[*Peer]struct{}),
		conns:     make(map[*Conn]struct{}),
		addresses: make(map[netip.Addr]int),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.queue.init(cfg.Limits.QueueReads)
	return s, nil
}

// Receive implements packets.Source. The order of the packets of one connection is kept. After Stop it delivers what
// had arrived whole and then returns net.ErrClosed.
func (s *Stream) Receive(b *packets.Batch) error {
	if cap(b.Packets) == 0 {
		return errNoRoom
	}
	return s.queue.receive(b, s.cfg.Hash)
}

// Release implements packets.Source.
func (s *Stream) Release(*packets.Batch) { s.queue.release(&s.pool) }

// Stop implements packets.Source: no connection is accepted or opened any more. Each connection reads what its
// socket holds at this moment, sends what waits in its outgoing queue, and ends. Stop does not wait for that.
func (s *Stream) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return
	}
	s.stopping = true
	s.cancel()
	for l := range s.listeners {
		l.tcp.Close()
	}
	for c := range s.conns {
		c.force(0)
	}
	s.all.Go(func() {
		s.reads.Wait()
		s.queue.finish()
	})
}

// Close implements packets.Source. It waits until every connection has ended.
func (s *Stream) Close() error {
	s.Stop()
	s.closing.Do(func() {
		s.all.Wait()
		packets, bytes := s.queue.discard(&s.pool)
		s.dropped(Unread, packets, bytes)
	})
	return nil
}

// stopped tells whether Stop was called.
func (s *Stream) stopped() bool { return s.ctx.Err() != nil }

// admit adds c to the connections, unless a limit forbids it. If it returns None, the caller must call c.run.
func (s *Stream) admit(c *Conn) Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.cfg.Limits
	if !c.dialed {
		s.opened.accepted++
	}
	switch {
	case s.stopping:
		return Stopped
	case c.dialed:
	case s.addresses[c.remote.Addr()] >= l.MaxConnsPerAddress:
		return TooManyOfAddress
	case s.accepted >= l.MaxConns:
		return TooMany
	default:
		s.accepted++
		s.addresses[c.remote.Addr()]++
	}
	s.lastID++
	c.id = s.lastID
	s.conns[c] = struct{}{}
	s.reads.Add(1)
	return None
}

// remove is the reverse of admit, and adds what c counted to the sums.
func (s *Stream) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.past.add(c.counts.sums())
	if c.dialed {
		return
	}
	s.accepted--
	a := c.remote.Addr()
	if s.addresses[a]--; s.addresses[a] == 0 {
		delete(s.addresses, a)
	}
}

// ended counts the end of a connection, or its refusal.
func (s *Stream) ended(reason Reason, remote netip.AddrPort, dialed bool, err error) {
	s.reasons[reason].conns.Add(1)
	s.notice(reason, remote, dialed, err)
}

// dropped counts bytes that were read or offered and not passed on.
func (s *Stream) dropped(reason Reason, packets, bytes uint64) {
	s.reasons[reason].packets.Add(packets)
	s.reasons[reason].bytes.Add(bytes)
}

// notice tells of the first of each kind. The ends that belong to normal operation are no news.
func (s *Stream) notice(reason Reason, remote netip.AddrPort, dialed bool, err error) {
	switch reason {
	case None, PeerClosed, Closed, Stopped:
		return
	}
	if s.cfg.Notice == nil || s.noticed[reason].Swap(true) {
		return
	}
	s.cfg.Notice(Notice{Reason: reason, Remote: remote, Dialed: dialed, Err: err})
}
