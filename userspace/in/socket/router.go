package socket

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"binrepd/userspace/in/packets"
)

// Router is a Sink over several sockets: each message leaves through the one that is bound to the address from which this
// host reaches the destination, if there is one. So packets to a peer come from the address that the peer sends to.
type Router struct {
	sockets   []*Socket
	listening int                                // the first so many of them listen
	local     []netip.Addr                       // the address of each
	source    func(to netip.AddrPort) netip.Addr // what the routing table says

	mu     sync.RWMutex // guards chosen
	chosen map[packets.Endpoint]choice
}

// choice is which socket a destination is reached through.
type choice struct {
	socket int // -1: none
	until  time.Time
}

// choiceTime is how long a choice holds: routes change, but not often.
const choiceTime = 10 * time.Second

// maxChoices bounds the memory for choices.
const maxChoices = 1024

// NewRouter returns a sink over sockets that listen, in order of preference, and over senders, which serve the destinations that
// none of the listening sockets can reach. The caller closes the sockets.
func NewRouter(listening, senders []*Socket) *Router {
	r := &Router{
		sockets: slices.Concat(listening, senders), listening: len(listening),
		source: routeSource, chosen: map[packets.Endpoint]choice{},
	}
	for _, s := range r.sockets {
		r.local = append(r.local, s.LocalAddr().Addr().Unmap())
	}
	return r
}

// Send implements packets.Sink. A message for which there is no socket is refused with ErrFamily.
func (r *Router) Send(m []packets.Message) (n int, err error) {
	for n < len(m) {
		first := r.choose(m[n].To)
		if first < 0 {
			return n, ErrFamily
		}
		end := n + 1
		for end < len(m) && (m[end].To == m[end-1].To || r.choose(m[end].To) == first) {
			end++
		}
		sent, err := r.sockets[first].Send(m[n:end])
		n += sent
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// choose returns the index of the socket for a destination, -1 if there is none.
func (r *Router) choose(to packets.Endpoint) int {
	now := time.Now()
	r.mu.RLock()
	c, ok := r.chosen[to]
	r.mu.RUnlock()
	if ok && now.Before(c.until) {
		return c.socket
	}
	c = choice{socket: r.find(to.AddrPort()), until: now.Add(choiceTime)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.chosen) >= maxChoices {
		clear(r.chosen)
	}
	r.chosen[to] = c
	return c.socket
}

// find prefers the listening socket that is bound to the address that the route says, then one that is bound to every address, then
// any that can reach the destination: a listen address that moves between hosts isn't the one that the route prefers. Peers know
// us by an address that we listen on. So a socket that only sends comes last.
func (r *Router) find(to netip.AddrPort) int {
	source := r.source(to)
	best, grade := -1, 0
	for i, local := range r.local {
		g := 0
		switch {
		case local.Is4() != to.Addr().Is4():
		case i >= r.listening:
			g = 1
		case local == source:
			g = 4
		case local.IsUnspecified():
			g = 3
		case !local.IsLoopback() || to.Addr().IsLoopback(): // nothing leaves the host from a loopback address
			g = 2
		}
		if g > grade {
			best, grade = i, g
		}
	}
	return best
}

// routeSource asks the kernel from which address this host would send to a destination. Nothing is sent. The zero Addr if
// there is no route.
func routeSource(to netip.AddrPort) netip.Addr {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// Watch implements packets.Reporter: fn is told what any of the sockets learns.
func (r *Router) Watch(fn func(to packets.Endpoint, err error)) (stop func()) {
	stops := make([]func(), len(r.sockets))
	for i, s := range r.sockets {
		stops[i] = s.Watch(fn)
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// Poll implements packets.Reporter.
func (r *Router) Poll() (reported int) {
	for _, s := range r.sockets {
		reported += s.Poll()
	}
	return reported
}
