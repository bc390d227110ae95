package telemetry

import (
	"net"
	"net/http"
	"sync"
)

// clients is a listener that lets so many connections be open at a time. When all places are taken and one more client comes, the
// connection goes that has waited longest for its next request: whoever keeps connections open only to have them can't keep others out. Only
// if all are being answered, the client waits.
type clients struct {
	net.Listener
	most int

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
	since           uint64 // the turn at which it began to wait
}

func newClients(l net.Listener, most int) *clients {
	p := &clients{Listener: l, most: most, open: map[net.Conn]*place{}}
	p.freed.L = &p.mu
	return p
}

// Accept returns the next connection when there is a place for it.
func (p *clients) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
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
		if len(p.open)-p.ending >= p.most {
			p.clear()
		}
		p.freed.Wait()
	}
	if p.closed {
		return false
	}
	p.turn++
	p.open[c] = &place{waiting: true, since: p.turn}
	return true
}

// clear closes the connection that has waited longest, if any waits. Its place is free when the server has seen that.
func (p *clients) clear() {
	var oldest net.Conn
	for c, at := range p.open {
		if at.waiting && !at.ending && (oldest == nil || at.since < p.open[oldest].since) {
			oldest = c
		}
	}
	if oldest != nil {
		p.open[oldest].ending = true
		p.ending++
		oldest.Close()
	}
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
