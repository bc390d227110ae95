package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Dial says whom to connect to.
type Dial struct {
	URL URL
	// Local is the source address to bind to, with a port that the system chooses; the zero value: the system chooses
	// both. OpenSIPS accepts packets only from the address in a node's URL (spec bin-tcp, 1.8).
	Local netip.Addr
	// Listener becomes the Intake of each packet.
	Listener uint8
}

// Peer keeps one connection to a URL open: when it ends, or can't be opened, it is dialled again after a pause that
// doubles, with jitter, from BackoffMin to BackoffMax.
type Peer struct {
	stream *Stream
	dial   Dial
	ctx    context.Context
	cancel context.CancelFunc
	again  chan struct{}

	mu       sync.Mutex
	conn     *Conn // nil: not connected
	attempts uint64
	failures uint64 // in a row
	reason   Reason // of the last end or failure
	err      error
	next     time.Time // when the next attempt is due; zero while connected
}

// PeerStatus describes a Peer.
type PeerStatus struct {
	URL       URL
	Connected bool
	Attempts  uint64
	Failures  uint64 // attempts and short connections since the last stable connection
	Reason    Reason // why the last connection ended or the last attempt failed; None: not yet
	Err       error
	Next      time.Time // of the next attempt; zero if there is a connection, or an attempt runs
}

// Dial connects to d.URL until Stop, or Close of the Peer. It does not wait.
func (s *Stream) Dial(d Dial) (*Peer, error) {
	u := d.URL
	switch {
	case u.TLS && s.cfg.TLS == nil:
		return nil, fmt.Errorf("dial %s: %w", u, errNoTLS)
	case !u.Addr.IsValid() || u.Addr.Addr().IsUnspecified() || u.Addr.Port() == 0:
		return nil, fmt.Errorf("dial %s: no address of a peer", u)
	case d.Local.IsValid() && d.Local.Unmap().Is4() != u.Addr.Addr().Unmap().Is4():
		return nil, fmt.Errorf("dial %s from %s: the addresses are of two families", u, d.Local)
	}
	p := &Peer{stream: s, dial: d, again: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(s.ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		p.cancel()
		return nil, net.ErrClosed
	}
	s.peers[p] = struct{}{}
	s.all.Go(p.run)
	return p, nil
}

// URL returns whom the Peer dials.
func (p *Peer) URL() URL { return p.dial.URL }

// Conn returns the connection; nil if there is none that is ready.
func (p *Peer) Conn() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil || !p.conn.ready.Load() {
		return nil
	}
	return p.conn
}

// Send sends on the connection, see Conn.Send. It fails with ErrNotConnected if there is none.
func (p *Peer) Send(packet []byte) error {
	c := p.Conn()
	if c == nil {
		return ErrNotConnected
	}
	return c.Send(packet)
}

// Retry ends the pause before the next attempt, for a peer that has just shown that it lives. At other times it does
// nothing.
func (p *Peer) Retry() {
	select {
	case p.again <- struct{}{}:
	default:
	}
}

// Close ends the connection and dials no more. It does not wait.
func (p *Peer) Close() {
	p.cancel()
	p.mu.Lock()
	c := p.conn
	p.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// Status describes the Peer.
func (p *Peer) Status() PeerStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PeerStatus{
		URL: p.dial.URL, Connected: p.conn != nil && p.conn.ready.Load(), Attempts: p.attempts, Failures: p.failures,
		Reason: p.reason, Err: p.err, Next: p.next,
	}
}

// run dials, lives with the connection, and pauses, in turn.
func (p *Peer) run() {
	defer func() {
		p.cancel()
		p.stream.mu.Lock()
		delete(p.stream.peers, p)
		p.stream.mu.Unlock()
	}()
	l := &p.stream.cfg.Limits
	for p.ctx.Err() == nil {
		began := p.stream.cfg.Clock.Now()
		reason, err, stable := p.once()
		if p.ctx.Err() != nil {
			return
		}
		now := p.stream.cfg.Clock.Now()
		p.mu.Lock()
		p.conn, p.reason, p.err = nil, reason, err
		p.failures++
		if stable || now.Sub(began) >= l.Stable && reason != DialFailed {
			p.failures = 0
		}
		pause := backoff(l.BackoffMin, l.BackoffMax, p.failures, p.stream.cfg.Jitter())
		p.next = now.Add(pause)
		p.mu.Unlock()
		p.pause(pause)
	}
}

func (p *Peer) pause(d time.Duration) {
	select {
	case <-p.again: // called while there was nothing to end
	default:
	}
	due, stop := p.stream.cfg.Clock.Timer(d)
	defer stop()
	select {
	case <-due:
	case <-p.again:
	case <-p.ctx.Done():
	}
}

// backoff returns the pause after a number of failures in a row: least, doubled for each failure after the first, at
// most most; then between three quarters and five quarters of it.
func backoff(least, most time.Duration, failures uint64, jitter float64) time.Duration {
	d := least
	for ; failures > 1 && d < most; failures-- {
		d *= 2
	}
	d = min(d, most)
	return d*3/4 + time.Duration(jitter*float64(d)/2)
}

// once dials once. stable tells that the connection brought packets: the peer wants it.
func (p *Peer) once() (reason Reason, err error, stable bool) {
	p.mu.Lock()
	p.attempts++
	p.next = time.Time{}
	p.mu.Unlock()
	s := p.stream
	s.mu.Lock()
	s.opened.dialed++
	s.mu.Unlock()
	target := p.dial.URL.Addr
	d := net.Dialer{Timeout: s.cfg.Limits.DialTimeout, KeepAliveConfig: keepAlive}
	if p.dial.Local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.dial.Local, 0))
	}
	d.SetMultipathTCP(false)
	nc, err := d.DialContext(p.ctx, "tcp", target.String())
	if err != nil {
		reason := DialFailed
		if p.ctx.Err() != nil {
			reason = Closed
		}
		s.ended(reason, target, true, dialError(err))
		return reason, dialError(err), false
	}
	tcp := nc.(*net.TCPConn)
	c, err := s.newConn(tcp, true, p.dial.Listener)
	if err != nil {
		tcp.Close()
		s.ended(DialFailed, target, true, err)
		return DialFailed, err, false
	}
	c.peer = p
	if p.dial.URL.TLS {
		c.useTLS(s.cfg.TLS.client(c))
	}
	if reason := s.admit(c); reason != None {
		tcp.Close()
		s.ended(reason, target, true, nil)
		return reason, nil, false
	}
	p.mu.Lock()
	p.conn = c
	p.mu.Unlock()
	if p.ctx.Err() != nil {
		c.Close() // Close of the Peer may have come before there was a connection to close
	}
	reason, err = c.run()
	return reason, err, c.counts.read.packets.Load() > 0
}

// dialError leaves out what the caller knows: the operation and the address.
func dialError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
