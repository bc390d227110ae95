package stream

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"binrepd/userspace/in/packets"
)

// Errors of Conn.Send and Peer.Send.
var (
	ErrSendFull     = errors.New("the outgoing queue of the connection is full")
	ErrNotConnected = errors.New("not connected")
	ErrNotPacket    = errors.New("not exactly one packet")
)

// Conn is one connection, accepted or dialled. Its methods may be called from any goroutine, but SetSender and Context.
type Conn struct {
	// Context belongs to the Handler: what it knows about the peer. Only calls of the Handler may use it.
	Context any

	stream        *Stream
	id            uint64
	remote, local netip.AddrPort
	dialed        bool
	listener      uint8
	peer          *Peer
	began         time.Time
	sock          *sock
	tls           *tlsConn // nil: plain
	in            io.Reader
	out           outbox

	counts    connCounters
	lastRead  atomic.Int64 // nanoseconds after began
	lastWrite atomic.Int64
	ready     atomic.Bool // Connected was called
	recording Recording   // nil: none

	reader

	mu      sync.Mutex
	forced  bool   // the read deadline is set to end the connection
	failure Reason // why, unless by Stop
	cause   error
}

func (s *Stream) newConn(tcp *net.TCPConn, dialed bool, listener uint8) (*Conn, error) {
	k, err := newSock(tcp)
	if err != nil {
		return nil, err
	}
	setUserTimeout(k.raw, s.cfg.Limits.UserTimeout)
	c := &Conn{stream: s, dialed: dialed, listener: listener, began: time.Now(), sock: k, in: k}
	c.remote = unmapped(tcp.RemoteAddr())
	c.local = unmapped(tcp.LocalAddr())
	c.source = packets.Sender{Endpoint: packets.EndpointOf(netip.AddrPortFrom(c.remote.Addr(), 0))}
	c.runSource = c.source
	c.out.init()
	return c, nil
}

func unmapped(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// ID is a number that no other connection of this Stream has.
func (c *Conn) ID() uint64 { return c.id }

// Remote returns the peer's address. Of an accepted connection the port says nothing about the peer.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Local returns this side's address.
func (c *Conn) Local() netip.AddrPort { return c.local }

// Dialed tells that this side opened the connection.
func (c *Conn) Dialed() bool { return c.dialed }

// TLS tells that the connection is encrypted.
func (c *Conn) TLS() bool { return c.tls != nil }

// Peer returns the Peer that dialled; nil for an accepted connection.
func (c *Conn) Peer() *Peer { return c.peer }

// PeerCertificate returns the certificate that the peer gave; nil if it gave none. A node id is only known after the
// first packet: this is where the Handler compares it with the certificate.
func (c *Conn) PeerCertificate() *Certificate {
	if c.tls == nil || !c.ready.Load() {
		return nil
	}
	return c.tls.certificate()
}

// SetSender sets the Sender of the packets from this one on. At first it is the peer's address with port 0, so
// that all connections of an address are one source. It may be called by the Handler only, in Connected or Packet.
func (c *Conn) SetSender(s packets.Sender) { c.source = s }

// Close ends the connection with reason Closed. What waits in the outgoing queue is still sent, for WriteTimeout at
// most. It does not wait.
func (c *Conn) Close() { c.fail(Closed, nil, 0) }

// fail ends the connection for reason, unless it is about to end already. The reader has grace to read why: a peer
// that refuses something says so before it closes.
func (c *Conn) fail(reason Reason, err error, grace time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == None {
		c.failure, c.cause = reason, err
	}
	c.forceLocked(grace)
}

// force wakes the reader, so that it looks why it was woken.
func (c *Conn) force(grace time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forceLocked(grace)
}

func (c *Conn) forceLocked(grace time.Duration) {
	c.forced = true
	c.sock.SetReadDeadline(time.Now().Add(grace))
}

// failed returns what fail was called with.
func (c *Conn) failed() (Reason, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure, c.cause
}

// arm sets the read deadline, unless force has set it.
func (c *Conn) arm(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = at
	if !c.forced {
		c.sock.SetReadDeadline(at)
	}
}

// run is the life of the connection, in one goroutine: handshake, reading, end. It returns the reason of the end.
func (c *Conn) run() (Reason, error) {
	h := c.stream.cfg.Handler
	reason, err := c.open()
	if reason == None {
		c.ready.Store(true)
		if record := c.stream.cfg.Record; record != nil {
			c.recording = record(c)
		}
		if h != nil {
			h.Connected(c)
		}
		reason, err = c.read()
	}
	c.leave(reason)
	c.stream.reads.Done()
	c.finish(reason)
	c.stream.remove(c)
	c.stream.ended(reason, c.remote, c.dialed, err)
	if h != nil && c.ready.Load() {
		h.Disconnected(c, reason, err)
	}
	return reason, err
}

// open does the TLS handshake.
func (c *Conn) open() (Reason, error) {
	if c.tls == nil {
		return None, nil
	}
	reason, err := c.tls.handshake(c.stream.ctx, c.stream.cfg.Limits.HandshakeTimeout)
	if reason == None {
		return None, nil
	}
	if c.stream.stopped() {
		return Stopped, nil
	}
	if failure, _ := c.failed(); failure == Closed {
		return Closed, nil
	}
	return reason, err
}

// leave gives back the memory of reading, and accounts for a packet that never became whole.
func (c *Conn) leave(reason Reason) {
	if n := c.w - c.r; n > 0 {
		c.drop(reason, 0, n)
	}
	c.counts.partial.Store(0)
	if c.recording != nil {
		c.recording.End(time.Now().UnixNano())
	}
	if c.gap.open {
		c.gapOver()
	}
	for _, b := range []*block{c.block, c.parked} {
		if b != nil {
			c.stream.pool.letGo(b)
		}
	}
	c.reader = reader{}
}

// finish ends the writer and closes the socket. At a clean end the writer may send what it has.
func (c *Conn) finish(reason Reason) {
	clean := reason == Stopped || reason == Closed
	if clean {
		// A peer that takes the rest slowly must not keep Close of the Stream waiting.
		late := time.AfterFunc(c.stream.cfg.Limits.WriteTimeout, func() { c.sock.Close() })
		defer late.Stop()
	} else {
		c.sock.Close()
	}
	packets, bytes := c.out.close(clean)
	c.counts.unsent.add(packets, bytes)
	c.stream.dropped(Unsent, packets, bytes)
	if clean {
		if c.tls != nil && c.out.err == nil && c.ready.Load() {
			c.tls.conn.CloseWrite() // best effort: the peer sees the end of the stream anyway
		}
		c.sock.Close()
	}
}
