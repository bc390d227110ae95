package bpf

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// host is the network interfaces of a network namespace at one time.
type host struct{ devices []device }

// device is what matters here of a network interface.
type device struct {
	index     int
	names     []string // its name, then its alternative names
	kind      string   // as in `ip -d link`: device, veth, vlan, bond ...
	mac       [6]byte
	tag       uint32 // of a VLAN: as in struct datagram of src/parse.h; else 0
	parent    int    // the index of the interface below it; 0 if there is none, or it is in another namespace
	master    int    // the index of the bond or bridge that it belongs to; 0: none
	ethernet  bool   // it carries Ethernet frames
	loopback  bool
	up        bool // by the administrator
	carrier   bool
	program   uint32 // the ID of the XDP program; 0: none
	state     situation
	addresses []netip.Addr // that can be used
}

// shared reports whether the interface takes frames from its parent, with the same tags. Kinds are as in `ip -d link`.
func (d *device) shared() bool {
	switch d.kind {
	case "macvlan", "macvtap", "ipvlan", "ipvtap":
		return true
	}
	return false
}

// hollow reports whether no frames arrive at the interface for its addresses.
func (d *device) hollow() bool {
	switch d.kind {
	case "dummy", "ifb", "nlmon", "vrf":
		return true
	}
	return false
}

// readHost asks the kernel, in the network namespace of the calling thread.
func readHost() (*host, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	h := &host{devices: make([]device, 0, len(links))}
	for _, l := range links {
		h.devices = append(h.devices, newDevice(l))
	}
	for _, a := range addrs {
		if a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 && a.Flags&unix.IFA_F_OPTIMISTIC == 0 {
			continue // the address may belong to another host
		}
		addr, ok := netip.AddrFromSlice(a.IP)
		if d := h.at(a.LinkIndex); d != nil && ok {
			d.addresses = append(d.addresses, addr.Unmap())
		}
	}
	return h, nil
}

func newDevice(l netlink.Link) device {
	a := l.Attrs()
	d := device{
		index: a.Index, names: append([]string{a.Name}, a.AltNames...), kind: l.Type(), master: a.MasterIndex,
		ethernet: a.EncapType == "ether", loopback: a.RawFlags&unix.IFF_LOOPBACK != 0,
		up: isUp(l), carrier: a.RawFlags&unix.IFF_LOWER_UP != 0, state: situationOf(l),
	}
	copy(d.mac[:], a.HardwareAddr)
	if a.NetNsID < 0 && d.kind != "veth" { // a veth's parent is its peer
		d.parent = a.ParentIndex
	}
	if v, ok := l.(*netlink.Vlan); ok {
		d.tag = uint32(v.VlanId)
		if v.VlanProtocol == netlink.VLAN_PROTOCOL_8021AD {
			d.tag |= serviceTag
		}
	}
	if x := a.Xdp; x != nil && x.Attached {
		d.program = x.ProgId
	}
	return d
}

// serviceTag marks the tag of a VLAN as that of a provider (802.1ad), as SERVICE_TAG in src/parse.h.
const serviceTag = 0x1000

// at returns the interface with this index, or nil.
func (h *host) at(index int) *device {
	for i := range h.devices {
		if h.devices[i].index == index && index != 0 {
			return &h.devices[i]
		}
	}
	return nil
}

// named returns the interface with this name or alternative name, or nil.
func (h *host) named(name string) *device {
	for i := range h.devices {
		if slices.Contains(h.devices[i].names, name) {
			return &h.devices[i]
		}
	}
	return nil
}

// addresses returns the usable addresses of all interfaces.
func (h *host) addresses() (list []netip.Addr) {
	for i := range h.devices {
		list = append(list, h.devices[i].addresses...)
	}
	return list
}

// maxStack is how many interfaces may stand on one another. The kernel has a similar limit.
const maxStack = 8

// place is an interface, and the tags of the frames there. Tags are as in struct datagram of src/parse.h.
type place struct {
	index int
	tags  uint32
}

// under returns the places where frames to the interface d come by: d itself, and what is below it.
func (h *host) under(d *device) []place { return h.underAt(d, maxStack) }

func (h *host) underAt(d *device, depth int) []place {
	list := []place{{index: d.index}}
	if depth == 0 {
		return list
	}
	if below := h.at(d.parent); below != nil {
		switch {
		case d.kind == "vlan":
			for _, p := range h.underAt(below, depth-1) {
				if p.tags <= 0xffff { // the program reads two tags
					list = append(list, place{index: p.index, tags: p.tags<<16 | d.tag})
				}
			}
		case d.shared():
			list = append(list, h.underAt(below, depth-1)...)
		}
	}
	for i := range h.devices {
		if member := &h.devices[i]; member.master == d.index {
			list = append(list, h.underAt(member, depth-1)...)
		}
	}
	return list
}

// entrances returns the interfaces where XDP sees the frames to the interface d. It is d itself, or what is below a VLAN or
// macvlan. It is nil if no interface below has Ethernet frames.
func (h *host) entrances(d *device) []int {
	for range maxStack {
		below := h.at(d.parent)
		if below == nil || d.kind != "vlan" && !d.shared() {
			break
		}
		d = below
	}
	switch {
	case d.loopback || d.hollow():
		return h.uplinks()
	case !d.ethernet:
		return nil
	}
	return []int{d.index}
}

// uplinks returns the interfaces where XDP sees the frames to addresses that belong to no particular network: all that are
// up, carry Ethernet and have an address.
func (h *host) uplinks() (list []int) {
	for i := range h.devices {
		d := &h.devices[i]
		if !d.up || d.loopback || len(d.addresses) == 0 || d.hollow() {
			continue
		}
		for _, index := range h.entrances(d) {
			if !slices.Contains(list, index) {
				list = append(list, index)
			}
		}
	}
	return list
}

// entrancesTo returns the interfaces where XDP sees the frames to a listen address. It is nil if no interface has the
// address, or none of them carries Ethernet. A loopback address, such as 127.0.0.1, is at lo only.
func (h *host) entrancesTo(addr netip.Addr) (list []int) {
	if addr.IsUnspecified() {
		return h.uplinks()
	}
	for i := range h.devices {
		d := &h.devices[i]
		switch {
		case addr.IsLoopback():
			if d.loopback {
				return []int{d.index}
			}
		case slices.Contains(d.addresses, addr):
			list = append(list, h.entrances(d)...)
		}
	}
	return list
}
