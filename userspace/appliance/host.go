package appliance

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/userspace/in/thread"
	"binrepd/userspace/watch/tuning"
)

// Host is what Config.Resolve needs to know about the machine.
type Host struct {
	Memory uint64 // bytes of RAM
	// MemoryLimit is that of the control group, 0: none.
	MemoryLimit uint64
	Links       []Link
	CPUs        []int // on which this process may run
	// Nonlocal4 and Nonlocal6 say that the kernel binds sockets to addresses that no interface has, for IPv4 and IPv6
	// (net.ipv4.ip_nonlocal_bind and net.ipv6.ip_nonlocal_bind). Hosts that share a floating address use that.
	Nonlocal4, Nonlocal6 bool
}

// Link is a network interface.
type Link struct {
	Name     string
	AltNames []string
	Up       bool
	Loopback bool
	Prefixes []netip.Prefix // its addresses with their prefix lengths
	// Tentative are the IPv6 addresses that the kernel still tests for duplicates, and Duplicate those that another host
	// has. Sockets can't be bound to either (RFC 4862, 5.4).
	Tentative, Duplicate []netip.Addr
}

// owns reports whether l makes addr an address of this host. On a loopback interface every address of the prefix is one.
func (l *Link) owns(addr netip.Addr) bool {
	return slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool {
		return p.Addr() == addr || l.Loopback && addr.Is4() && p.Contains(addr)
	})
}

// ReadHost asks the kernel. Links are those of the network namespace of the calling thread.
func ReadHost() (Host, error) {
	var h Host
	var info unix.Sysinfo_t
	err := unix.Sysinfo(&info)
	if err != nil {
		return Host{}, fmt.Errorf("memory of the host: %w", err)
	}
	h.Memory = uint64(info.Totalram) * uint64(info.Unit)
	h.MemoryLimit = groupLimit(os.DirFS("/"))
	if h.CPUs, err = thread.Allowed(); err != nil {
		return Host{}, err
	}
	h.Nonlocal4 = tuning.Sysctl("net/ipv4/ip_nonlocal_bind") == "1"
	h.Nonlocal6 = tuning.Sysctl("net/ipv6/ip_nonlocal_bind") == "1"

	links, err := netlink.LinkList()
	if err != nil {
		return Host{}, fmt.Errorf("network interfaces: %w", err)
	}
	for _, l := range links {
		attrs := l.Attrs()
		link := Link{
			Name:     attrs.Name,
			AltNames: attrs.AltNames,
			Up:       attrs.RawFlags&unix.IFF_UP != 0,
			Loopback: attrs.RawFlags&unix.IFF_LOOPBACK != 0,
		}
		addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			return Host{}, fmt.Errorf("addresses of %s: %w", attrs.Name, err)
		}
		for _, a := range addrs {
			ip, ok := netip.AddrFromSlice(a.IP)
			if !ok {
				continue
			}
			ones, _ := a.Mask.Size()
			link.Prefixes = append(link.Prefixes, netip.PrefixFrom(ip.Unmap(), ones))
			switch {
			case a.Flags&unix.IFA_F_DADFAILED != 0:
				link.Duplicate = append(link.Duplicate, ip)
			case a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC) == unix.IFA_F_TENTATIVE:
				link.Tentative = append(link.Tentative, ip)
			}
		}
		h.Links = append(h.Links, link)
	}
	return h, nil
}

// Resolve checks a valid c against the host. It chooses MaxMemory if that is 0.
func (c *Config) Resolve(h Host) error {
	for _, name := range c.Interfaces {
		if !slices.ContainsFunc(h.Links, func(l Link) bool { return l.Name == name || slices.Contains(l.AltNames, name) }) {
			return fmt.Errorf("--interface %s: no such interface; this host has %s", name, h.linkNames())
		}
	}
	for _, ap := range c.Listen {
		if len(h.owners(ap.Addr())) == 0 {
			if err := c.resolveForeign(h, ap); err != nil {
				return err
			}
		}
	}
	if err := checkCPUs(c.CPUs, h.CPUs); err != nil {
		return err
	}
	// The kernel allocates all rings at once at the start. More than half of the memory would be at the cost of other
	// processes.
	if total := uint64(c.Rings) * uint64(c.RingSize); c.XDP != XDPOff && total > h.Memory/2 {
		return fmt.Errorf("--ring-size %s: %d rings of it take %s, more than half of this host's %s; choose a smaller size or fewer --rings",
			humanize.IBytes(uint64(c.RingSize)), c.Rings, humanize.IBytes(total), humanize.IBytes(h.Memory))
	}
	if uint64(c.ReplicateQueue) > h.Memory/2 {
		return fmt.Errorf("--replicate-queue %s: more than half of this host's %s; choose a smaller size",
			humanize.IBytes(uint64(c.ReplicateQueue)), humanize.IBytes(h.Memory))
	}
	return c.settleMemory(h)
}

// resolveForeign checks a listen address that no interface has.
func (c *Config) resolveForeign(h Host, ap netip.AddrPort) error {
	allowed, parameter := h.Nonlocal4, "net.ipv4.ip_nonlocal_bind"
	if ap.Addr().Is6() {
		allowed, parameter = h.Nonlocal6, "net.ipv6.ip_nonlocal_bind"
	}
	switch {
	case ap.Addr().IsUnspecified():
		return fmt.Errorf("--listen %s: no interface of this host is up", ap)
	case !allowed:
		return fmt.Errorf("--listen %s: no interface of this host has that address; correct it, or if it comes later, wait for it with --await-address or set sysctl %s=1",
			ap, parameter)
	}
	return nil
}

// owners returns the names of the interfaces at which packets to addr arrive.
func (h *Host) owners(addr netip.Addr) []string {
	var names []string
	for i := range h.Links {
		l := &h.Links[i]
		if addr.IsUnspecified() && l.Up || l.owns(addr) {
			names = append(names, l.Name)
		}
	}
	return names
}

func (h *Host) linkNames() string {
	names := make([]string, len(h.Links))
	for i, l := range h.Links {
		names[i] = l.Name
	}
	return strings.Join(names, ", ")
}
