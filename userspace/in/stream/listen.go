package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"binrepd/userspace/in/packets"
)

// keepAlive finds a dead peer about 25 s after its last sign of life. OpenSIPS has keepalive on by default, too.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}

var errNoTLS = errors.New("a bins URL needs a certificate, a key and a CA")

// ListenError tells why an address can't be listened on. Err holds the system's errno.
type ListenError struct {
	URL URL
	Err error
}

func (e *ListenError) Unwrap() error { return e.Err }

func (e *ListenError) Error() string {
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return fmt.Sprintf("%s is in use: another process listens there", e.URL)
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("%s is not on this host: no interface has the address", e.URL)
	case errors.Is(e.Err, syscall.EACCES):
		return fmt.Sprintf("%s may not be listened on: a port below 1024 needs CAP_NET_BIND_SERVICE", e.URL)
	}
	return fmt.Sprintf("%s can't be listened on: %v", e.URL, e.Err)
}

// Listener accepts connections.
type Listener struct {
	stream   *Stream
	url      URL
	tcp      *net.TCPListener
	listener uint8
}

// Listen accepts connections on u until Stop, or Close of the Listener. listener becomes the Intake of each
// packet. The address may be unspecified, the port 0. An address that can't be listened on is a *ListenError.
func (s *Stream) Listen(ctx context.Context, u URL, listener uint8) (*Listener, error) {
	if u.TLS && s.cfg.TLS == nil {
		return nil, fmt.Errorf("listen on %s: %w", u, errNoTLS)
	}
	network := "tcp4"
	if u.Addr.Addr().Is6() {
		network = "tcp6" // sets IPV6_V6ONLY, so that 0.0.0.0 and :: can be listened on side by side
	}
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	lc.SetMultipathTCP(false)
	nl, err := lc.Listen(ctx, network, u.Addr.String())
	if err != nil {
		return nil, &ListenError{URL: u, Err: err}
	}
	l := &Listener{stream: s, url: URL{TLS: u.TLS}, tcp: nl.(*net.TCPListener), listener: listener}
	l.url.Addr = unmapped(nl.Addr())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		nl.Close()
		return nil, net.ErrClosed
	}
	s.listeners[l] = struct{}{}
	s.all.Go(l.run)
	return l, nil
}

// URL returns the address listened on, with the port that the system chose for 0.
func (l *Listener) URL() URL { return l.url }

// Close ends listening. Connections that were accepted go on.
func (l *Listener) Close() error {
	l.stream.mu.Lock()
	delete(l.stream.listeners, l)
	l.stream.mu.Unlock()
	return l.tcp.Close()
}

// run accepts until the listener is closed.
func (l *Listener) run() {
	pause := time.Duration(0)
	for {
		tcp, err := l.tcp.AcceptTCP()
		if err == nil {
			pause = 0
			l.accept(tcp)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Out of file descriptors or memory: the connection stays in the backlog, and asking again at once would spin.
		l.stream.ended(AcceptFailed, l.url.Addr, false, err)
		l.stream.mu.Lock()
		l.stream.opened.accepted++ // the attempt, so that the account adds up
		l.stream.mu.Unlock()
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		wait, stop := time.NewTimer(pause), l.stream.ctx.Done()
		select {
		case <-wait.C:
		case <-stop:
			wait.Stop()
		}
	}
}

// accept takes a connection, or refuses it with a reset.
func (l *Listener) accept(tcp *net.TCPConn) {
	s := l.stream
	remote := unmapped(tcp.RemoteAddr())
	c, reason, err := l.admit(tcp, remote)
	if reason != None {
		refuse(tcp)
		s.ended(reason, remote, false, err)
		return
	}
	s.all.Go(func() { c.run() })
}

func (l *Listener) admit(tcp *net.TCPConn, remote netip.AddrPort) (*Conn, Reason, error) {
	s := l.stream
	refused := func(reason Reason, err error) (*Conn, Reason, error) {
		s.mu.Lock()
		s.opened.accepted++
		s.mu.Unlock()
		return nil, reason, err
	}
	if s.cfg.Admit != nil {
		switch s.cfg.Admit(packets.EndpointOf(remote)) {
		case packets.Denied:
			return refused(Denied, nil)
		case packets.RateLimited:
			return refused(RateLimited, nil)
		}
	}
	c, err := s.newConn(tcp, false, l.listener)
	if err != nil {
		return refused(AcceptFailed, err)
	}
	if l.url.TLS {
		c.useTLS(s.cfg.TLS.server(c))
	}
	if reason := s.admit(c); reason != None {
		return nil, reason, nil
	}
	return c, None, nil
}
