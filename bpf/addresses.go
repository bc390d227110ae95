package bpf

import (
	"fmt"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"
)

// MaxAddresses is how many address-and-port pairs the wildcard listeners can expand to.
const MaxAddresses = int(binrepdLimitMAX_ADDRESSES)

// addressBook maintains the program's map from local addresses to wildcard listeners.
type addressBook struct {
	listeners []netip.AddrPort
	entries   *ebpf.Map

	mu      sync.Mutex
	current map[netip.AddrPort]uint8
}

// set expands the wildcard listeners to the addresses in host. It returns how many pairs did not fit into the map. The
// kernel handles their traffic.
func (b *addressBook) set(host []netip.Addr) (left int, err error) {
	want := expand(b.listeners, host)
	b.mu.Lock()
	defer b.mu.Unlock()
	// Delete old entries first, since the map may be full.
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

// expand returns the listener for each address of the host. Pairs that have a listener of their own are left out.
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
