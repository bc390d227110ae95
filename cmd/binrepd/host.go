package main

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/userspace/watch/tuning"
)

// host is what options ask of the machine.
type host struct {
	Memory uint64 // bytes of RAM
	// MemoryLimit is that of the control group, 0: none.
	MemoryLimit uint64
	Links       []hostLink
	// Nonlocal4 and Nonlocal6 tell whether the kernel lets a socket be bound to an address that no interface has
	// (net.ipv4.ip_nonlocal_bind and its twin), as hosts with an address that moves between them do.
	Nonlocal4, Nonlocal6 bool
}

// hostLink is a network interface.
type hostLink struct {
	Name     string
	Up       bool
	Loopback bool
	Prefixes []netip.Prefix // its addresses with their prefix lengths
}

// owns tells whether a packet to addr is for this host because of l. On a loopback interface the kernel takes every
// address of the prefix for its own.
func (l *hostLink) owns(addr netip.Addr) bool {
	return slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool {
		return p.Addr() == addr || l.Loopback && addr.Is4() && p.Contains(addr)
	})
}

// readHost asks the kernel, in the network namespace of the calling thread.
func readHost() (host, error) {
	var h host
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return host{}, fmt.Errorf("memory of the host: %w", err)
	}
	h.Memory = uint64(info.Totalram) * uint64(info.Unit)
	h.MemoryLimit = groupLimit(os.DirFS("/"))
	h.Nonlocal4 = tuning.Sysctl("net/ipv4/ip_nonlocal_bind") == "1"
	h.Nonlocal6 = tuning.Sysctl("net/ipv6/ip_nonlocal_bind") == "1"

	links, err := netlink.LinkList()
	if err != nil {
		return host{}, fmt.Errorf("network interfaces: %w", err)
	}
	for _, l := range links {
		attrs := l.Attrs()
		link := hostLink{
			Name:     attrs.Name,
			Up:       attrs.RawFlags&unix.IFF_UP != 0,
			Loopback: attrs.RawFlags&unix.IFF_LOOPBACK != 0,
		}
		addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			return host{}, fmt.Errorf("addresses of %s: %w", attrs.Name, err)
		}
		for _, a := range addrs {
			ip, ok := netip.AddrFromSlice(a.IP)
			if !ok {
				continue
			}
			ones, _ := a.Mask.Size()
			link.Prefixes = append(link.Prefixes, netip.PrefixFrom(ip.Unmap(), ones))
		}
		h.Links = append(h.Links, link)
	}
	return h, nil
}

// resolve checks o against the host and fills in the interfaces where none were named.
func (o *options) resolve(h host) error {
	for _, name := range o.Interfaces {
		if !slices.ContainsFunc(h.Links, func(l hostLink) bool { return l.Name == name }) {
			return fmt.Errorf("--interface %s: no such interface; this host has %s", name, h.linkNames())
		}
	}
	var found []string
	for _, ap := range o.Listen {
		owners := h.owners(ap.Addr())
		if len(owners) == 0 {
			if err := o.resolveForeign(h, ap); err != nil {
				return err
			}
		}
		found = append(found, owners...)
	}
	if len(o.Interfaces) == 0 {
		// In the order of the host, each once.
		for _, l := range h.Links {
			if slices.Contains(found, l.Name) {
				o.Interfaces = append(o.Interfaces, l.Name)
			}
		}
	}
	// The kernel allocates all rings at once and at the start; beyond half of the memory it had better be refused than
	// paid for by some other process.
	if total := uint64(o.Rings) * uint64(o.RingSize); o.XDP != xdpOff && total > h.Memory/2 {
		return fmt.Errorf("--ring-size %s: %d rings of it take %s, more than half of this host's %s; choose a smaller size or fewer --rings",
			humanize.IBytes(uint64(o.RingSize)), o.Rings, humanize.IBytes(total), humanize.IBytes(h.Memory))
	}
	if uint64(o.ReplicateQueue) > h.Memory/2 {
		return fmt.Errorf("--replicate-queue %s: more than half of this host's %s; choose a smaller size",
			humanize.IBytes(uint64(o.ReplicateQueue)), humanize.IBytes(h.Memory))
	}
	return o.settleMemory(h)
}

// resolveForeign decides about a listen address that no interface has.
func (o *options) resolveForeign(h host, ap netip.AddrPort) error {
	allowed, parameter := h.Nonlocal4, "net.ipv4.ip_nonlocal_bind"
	if ap.Addr().Is6() {
		allowed, parameter = h.Nonlocal6, "net.ipv6.ip_nonlocal_bind"
	}
	switch {
	case ap.Addr().IsUnspecified():
		return fmt.Errorf("--listen %s: no interface of this host is up", ap)
	case !allowed:
		return fmt.Errorf("--listen %s: no interface of this host has that address; correct it, or set sysctl %s=1 if it comes later",
			ap, parameter)
	case len(o.Interfaces) == 0 && o.XDP != xdpOff:
		return fmt.Errorf("--listen %s: no interface of this host has that address yet; say with --interface where it will be", ap)
	}
	return nil
}

// owners names the interfaces at which packets to addr arrive.
func (h *host) owners(addr netip.Addr) []string {
	var names []string
	for i := range h.Links {
		l := &h.Links[i]
		if addr.IsUnspecified() && l.Up || l.owns(addr) {
			names = append(names, l.Name)
		}
	}
	return names
}

func (h *host) linkNames() string {
	names := make([]string, len(h.Links))
	for i, l := range h.Links {
		names[i] = l.Name
	}
	return strings.Join(names, ", ")
}
