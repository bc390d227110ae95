package bpf

import (
	"fmt"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"
)

// MaxAddresses is how many pairs of address and port the wildcards among the listen addresses can stand for.
const MaxAddresses = int(binrepdLimitMAX_ADDRESSES)

// addressBook keeps the program's map of what wildcards stand for.
type addressBook struct {
	listeners []netip.AddrPort
	entries   *ebpf.Map

	mu      sync.Mutex
	current map[netip.AddrPort]uint8
}

// wildcards reports whether any listener stands for the addresses of the host.
func (b *addressBook) wildcards() bool {
	for _, l := range b.listeners {
		if l.Addr().IsUnspecified() {
			return true
		}
	}
	return false
}

// set expands the wildcards to host. It returns how many entries the map has no room for; their traffic is left to the
// kernel.
func (b *addressBook) set(host []netip.Addr) (left int, err error) {
	want := expand(b.listeners, host)
	b.mu.Lock()
	defer b.mu.Unlock()
	// First what is gone, since the map may be full.
	for at := range b.current {
		if _, ok := want[at]; ok {
			continue
		}
		if err := b.entries.Delete(addressKey(at)); err != nil {
			return 0, fmt.Errorf("delete listen address %s: %w", at, err)
		}
		delete(b.current, at)
	}
	if b.current == nil {
		b.current = make(map[netip.AddrPort]uint8)
	}
	for at, listener := range want {
		if now, ok := b.current[at]; ok && now == listener {
			continue
		}
		if len(b.current) >= MaxAddresses {
			left++
			continue
		}
		if err := b.entries.Put(addressKey(at), listener); err != nil {
			return 0, fmt.Errorf("put listen address %s: %w", at, err)
		}
		b.current[at] = listener
	}
	return left, nil
}

// expand returns which listener each address and port belongs to that has no listener of its own.
func expand(listeners []netip.AddrPort, host []netip.Addr) map[netip.AddrPort]uint8 {
	named := make(map[netip.AddrPort]bool)
	for _, l := range listeners {
		named[l] = true
	}
	at := make(map[netip.AddrPort]uint8)
	for i, l := range listeners {
		if !l.Addr().IsUnspecified() {
			continue
		}
		for _, addr := range host {
			addr = addr.Unmap().WithZone("")
			one := netip.AddrPortFrom(addr, l.Port())
			if !named[one] && addr.Is4() == l.Addr().Is4() {
				at[one] = uint8(i)
			}
		}
	}
	return at
}

func addressKey(at netip.AddrPort) binrepdAddress {
	return binrepdAddress{Addr: at.Addr().As16(), Port: at.Port()}
}
