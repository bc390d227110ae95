package gate

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// ParsePrefix parses a prefix, such as 10.0.0.0/24 or 2001:db8::/32, or a single address, which is a prefix of all its
// bits.
func ParsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		addr = addr.Unmap()
		if addr.Zone() != "" {
			return netip.Prefix{}, errors.New("an address with a zone can't be used here; leave the zone out")
		}
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New("not a prefix; write 10.0.0.0/24, 2001:db8::/32 or a single address")
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, errors.New("covers more than IPv4; write the IPv4 prefix itself")
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("has bits set after its prefix; write %s for the network or %s for the host", p.Masked(), p.Addr())
	}
	return p, nil
}

// prefixes is an immutable list, indexed for look-ups.
type prefixes struct {
	list    []netip.Prefix // sorted
	set     map[netip.Prefix]struct{}
	lengths [2][]int // that occur, for IPv4 and for IPv6
}

func newPrefixes(list []netip.Prefix) *prefixes {
	p := &prefixes{list: slices.Clone(list), set: make(map[netip.Prefix]struct{}, len(list))}
	slices.SortFunc(p.list, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	p.list = slices.Compact(p.list)
	for _, one := range p.list {
		p.set[one] = struct{}{}
		of := &p.lengths[family(one.Addr())]
		if !slices.Contains(*of, one.Bits()) {
			*of = append(*of, one.Bits())
		}
	}
	return p
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// cover reports whether any prefix of the list covers a. It needs one look-up for each prefix length that occurs.
func (p *prefixes) cover(a netip.Addr) bool {
	for _, bits := range p.lengths[family(a)] {
		if _, ok := p.set[netip.PrefixFrom(a, bits).Masked()]; ok {
			return true
		}
	}
	return false
}
