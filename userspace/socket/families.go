package socket

import (
	"net/netip"

	"binrepd/userspace/datagram"
)

// Families is a Sink over several sockets: each message leaves through the one that fits its destination. So packets to a
// peer come from the address that the peer sends to, where there is one.
type Families struct {
	sockets []*Socket
	local   []netip.Addr
}

// NewFamilies returns a sink over sockets, in order of preference. They stay the caller's to close.
func NewFamilies(sockets ...*Socket) *Families {
	f := &Families{sockets: sockets}
	for _, s := range sockets {
		f.local = append(f.local, s.LocalAddr().Addr().Unmap())
	}
	return f
}

// Send implements datagram.Sink. A message for which there is no socket is refused with ErrFamily.
func (f *Families) Send(m []datagram.Message) (n int, err error) {
	for n < len(m) {
		first := f.choose(m[n].To)
		if first < 0 {
			return n, ErrFamily
		}
		end := n + 1
		for end < len(m) && (m[end].To == m[n].To || f.choose(m[end].To) == first) {
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

// choose returns the index of the socket for a destination: of its family, and bound to an address from which it can be reached,
// which a loopback address is for loopback destinations only. It is -1 if there is none.
func (f *Families) choose(to datagram.Endpoint) int {
	dst := to.AddrPort().Addr()
	fallback := -1
	for i, local := range f.local {
		switch {
		case local.Is4() != dst.Is4():
		case local.IsUnspecified(), local.IsLoopback() == dst.IsLoopback():
			return i
		case fallback < 0 && dst.IsLoopback():
			fallback = i // the host's own address reaches loopback, too
		}
	}
	return fallback
}

// ReapErrors reads what the network reported on all sockets; see Socket.ReapErrors.
func (f *Families) ReapErrors() (n int) {
	for _, s := range f.sockets {
		n += s.ReapErrors()
	}
	return n
}

