package socket

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"binrepd/userspace/in/packets"
)

// Families is a Sink over several sockets: each message leaves through the one that is bound to the address from which this
// host reaches the destination, if there is one. So packets to a peer come from the address that the peer sends to.
type Families struct {
	sockets   []*Socket
	listening int                                // so many of them listen, the first ones
	local     []netip.Addr                       // of each
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

// maxChoices bounds the memory for them.
const maxChoices = 1024

// NewFamilies returns a sink over sockets that listen, in order of preference, and such as only send, which serve where none that
// listens can. They stay the caller's to close.
func NewFamilies(listening, senders []*Socket) *Families {
	f := &Families{
		sockets: slices.Concat(listening, senders), listening: len(listening),
		source: routeSource, chosen: map[packets.Endpoint]choice{},
	}
	for _, s := range f.sockets {
		f.local = append(f.local, s.LocalAddr().Addr().Unmap())
	}
	return f
}

// Send implements datagram.Sink. A message for which there is no socket is refused with ErrFamily.
func (f *Families) Send(m []packets.Message) (n int, err error) {
	for n < len(m) {
		first := f.choose(m[n].To)
		if first < 0 {
			return n, ErrFamily
		}
		end := n + 1
		for end < len(m) && (m[end].To == m[end-1].To || f.choose(m[end].To) == first) {
			end++
		}
		sent, err := f.sockets[first].Send(m[n:end])
		n += sent
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// choose returns the index of the socket for a destination, -1 if there is none.
func (f *Families) choose(to packets.Endpoint) int {
	now := time.Now()
	f.mu.RLock()
	c, ok := f.chosen[to]
	f.mu.RUnlock()
	if ok && now.Before(c.until) {
		return c.socket
	}
	c = choice{socket: f.find(to.AddrPort()), until: now.Add(choiceTime)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.chosen) >= maxChoices {
		clear(f.chosen)
	}
	f.chosen[to] = c
	return c.socket
}

// find prefers the listening socket bound to the address that the route says, then one bound to every address, then any that
// can reach the destination: on a host whose listen address moves about, it is not the one that the route prefers. Peers know
// us by an address that we listen on, so that a socket that only sends comes last.
func (f *Families) find(to netip.AddrPort) int {
	source := f.source(to)
	best, grade := -1, 0
	for i, local := range f.local {
		g := 0
		switch {
		case local.Is4() != to.Addr().Is4():
		case i >= f.listening:
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

// ReapErrors reads what the network reported on all sockets; see Socket.ReapErrors.
func (f *Families) ReapErrors() (n int) {
	for _, s := range f.sockets {
		n += s.ReapErrors()
	}
	return n
}
