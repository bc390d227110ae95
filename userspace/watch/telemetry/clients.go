package telemetry

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// clients is a listener that lets so many connections be open at a time. When all places are taken and one more client comes, the
// connection goes that has waited longest for its next request: whoever keeps connections open only to have them can't keep others out. If
// all are being answered, the one goes that has been at one write for longest, for patience at least: whoever asks and doesn't read can't keep
// others out either, nor can whoever reads so slowly that one write, of a whole answer often, takes that long. Only if there is none, the client waits.
type clients struct {
	net.Listener
	most     int
	patience time.Duration

	mu     sync.Mutex // guards the fields below
	freed  sync.Cond  // a place may have become free, or can be made so
	open   map[net.Conn]*place
	turn   uint64 // grows with each that begins to wait
	ending int    // closed by us, and not yet gone
	closed bool
}

// place is what is known of an open connection.
type place struct {
	waiting, ending bool
	since           uint64    // the turn at which it began to wait
	sending         time.Time // since when something is being sent; zero: nothing is
}

// client is a connection that says when something is being sent.
type client struct {
	net.Conn
	clients *clients
}

func (c *client) Write(b []byte) (int, error) {
	c.clients.sending(c, time.Now())
	defer c.clients.sending(c, time.Time{})
	return c.Conn.Write(b)
}

// CloseWrite lets the client read to the end what it was sent, before the server closes the whole: net/http does so after a request that it didn't
// read to its end, where else the rest of that would make the kernel throw the answer away.
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

// take waits for a place, unless the listener is closed meanwhile.
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

// due is in how long the time of somebody may be over. Whoever begins to send later has until then at least.
func (p *clients) due(now time.Time) time.Duration {
	in := p.patience
	for _, at := range p.open {
		if !at.ending && !at.sending.IsZero() {
			in = min(in, at.sending.Add(p.patience).Sub(now))
		}
	}
	return in
}

// look has those who wait for a place look for one.
func (p *clients) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freed.Broadcast()
}

// sending notes since when something is being sent to a client.
func (p *clients) sending(c net.Conn, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.open[c]; at != nil {
		at.sending = since
	}
}

// clear closes the connection that has waited longest, or if none waits the one that has been at one write for longest. Its place is free when the server has seen that.
// It tells whether there was one.
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

// changed is the server's http.Server.ConnState. A connection is new until a whole request has come, so that one which sends
// its request bit by bit counts as waiting.
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

// Close lets Accept end.
func (p *clients) Close() error {
	p.mu.Lock()
	p.closed = true
	p.freed.Broadcast()
	p.mu.Unlock()
	return p.Listener.Close()
}
