package telemetry

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// clients is a listener with a maximum number of open connections. When all places are taken and another client comes,
// one connection is closed: the one that has waited longest for its next request. So clients that keep idle connections
// can't keep others out. If all connections are being answered, the one that has been in one write for longest is
// closed, if that write has taken at least patience. So clients that don't read, or that read very slowly, can't keep
// others out either. If there is no such connection, the new client waits.
type clients struct {
	net.Listener
	most     int
	patience time.Duration

	mu     sync.Mutex // guards the fields below
	freed  sync.Cond  // a place has become free, or a connection can now be closed
	open   map[net.Conn]*place
	turn   uint64 // grows with each connection that begins to wait
	ending int    // closed by us, but not gone yet
	closed bool
}

// place is the state of an open connection.
type place struct {
	waiting, ending bool
	since           uint64    // the turn at which it began to wait
	sending         time.Time // start of the current write; zero: no write
}

// client is a connection that reports when a write begins and ends.
type client struct {
	net.Conn
	clients *clients
}

func (c *client) Write(b []byte) (int, error) {
	c.clients.sending(c, time.Now())
	defer c.clients.sending(c, time.Time{})
	return c.Conn.Write(b)
}

// CloseWrite closes the sending half, so that the client can read the rest of its answer before the server closes the
// connection. net/http does so after a request that it has not read to its end. Otherwise the unread rest of the
// request would make the kernel discard the answer.
func (c *client) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	return half.CloseWrite()
}

func newClients(l net.Listener, most int, patience time.Duration) *clients {
	p := &clients{Listener: l, most: most, patience: patience, open: map[net.Conn]*place{}}
	p.freed.L = &p.mu
	return p
}

// Accept returns the next connection when there is a place for it.
func (p *clients) Accept() (net.Conn, error) {
	accepted, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &client{accepted, p}
	if !p.take(c) {
		c.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

// take waits for a place. It returns false if the listener is closed in the meantime.
func (p *clients) take(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.open) >= p.most && !p.closed {
		if len(p.open)-p.ending < p.most || p.clear() {
			p.freed.Wait()
			continue
		}
		again := time.AfterFunc(p.due(time.Now()), p.look)
		p.freed.Wait()
		again.Stop()
	}
	if p.closed {
		return false
	}
	p.turn++
	p.open[c] = &place{waiting: true, since: p.turn}
	return true
}

// due returns how long it takes at least until the next write exceeds patience. Writes that begin later take longer.
func (p *clients) due(now time.Time) time.Duration {
	in := p.patience
	for _, at := range p.open {
		if !at.ending && !at.sending.IsZero() {
			in = min(in, at.sending.Add(p.patience).Sub(now))
		}
	}
	return in
}

// look wakes those that wait for a place, so that they check again.
func (p *clients) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freed.Broadcast()
}

// sending records when the current write to a client began.
func (p *clients) sending(c net.Conn, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.open[c]; at != nil {
		at.sending = since
	}
}

// clear closes the connection that has waited longest, or else the one that has been in one write for longest. Its
// place becomes free when the server has noticed that. It reports whether there was one.
func (p *clients) clear() bool {
	var oldest, deaf net.Conn
	for c, at := range p.open {
		switch {
		case at.ending:
		case at.waiting:
			if oldest == nil || at.since < p.open[oldest].since {
				oldest = c
			}
		case !at.sending.IsZero() && time.Since(at.sending) >= p.patience:
			if deaf == nil || at.sending.Before(p.open[deaf].sending) {
				deaf = c
			}
		}
	}
	if oldest == nil {
		oldest = deaf
	}
	if oldest == nil {
		return false
	}
	p.open[oldest].ending = true
	p.ending++
	oldest.Close()
	return true
}

// changed is the server's http.Server.ConnState. A connection stays new until a complete request has come. So one that
// sends its request bit by bit counts as waiting.
func (p *clients) changed(c net.Conn, to http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.open[c]
	if at == nil {
		return
	}
	switch to {
	case http.StateActive:
		at.waiting = false
	case http.StateIdle:
		p.turn++
		at.waiting, at.since = true, p.turn
	case http.StateClosed, http.StateHijacked:
		if at.ending {
			p.ending--
		}
		delete(p.open, c)
	}
	p.freed.Broadcast()
}

// Close ends Accept.
func (p *clients) Close() error {
	p.mu.Lock()
	p.closed = true
	p.freed.Broadcast()
	p.mu.Unlock()
	return p.Listener.Close()
}
