package doctor

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/bpf"
	"binrepd/userspace/watch/control"
)

// linkFacts is what the kernel, the driver and a trial say of one interface.
type linkFacts struct {
	Name   string
	Index  int
	Kind   string // as in `ip -d link`: device, veth, vlan, bond ...
	Driver string // "" where the driver has no name, as lo
	Parent string // the interface below it, "" for none
	Up     bool
	// Ethernet is true if it carries Ethernet frames. Hollow is true if frames to its addresses arrive at other interfaces.
	Ethernet, Hollow bool
	MTU              int // bytes
	Queues           int // receive queues in use
	bpf.Trial
}

// findings judges the interface.
func (l linkFacts) findings() []Finding {
	return append([]Finding{l.link(), l.mtu(), l.queues(), l.programs()}, l.attaching()...)
}

// stacked reports whether the interface takes frames from the one below, before XDP could see them.
func (l linkFacts) stacked() bool {
	switch l.Kind {
	case "macvlan", "macvtap", "ipvlan", "ipvtap":
		return true
	}
	return false
}

func (l linkFacts) link() Finding {
	f := Finding{Check: "interface", Status: OK, Value: l.Kind}
	if l.Driver != "" && l.Driver != l.Kind {
		f.Value += ", driver " + l.Driver
	}
	switch {
	case !l.Up:
		f.Status, f.Value = Warning, f.Value+", down"
		f.Advice = "ip link set dev " + l.Name + " up: nothing is received on an interface that is down"
	case l.Hollow && l.Kind == "loopback":
		f.Value += ": only what this host sends to itself passes here"
	case l.Hollow:
		f.Status = Warning
		f.Advice = "give the interfaces by which packets to its addresses come in: none passes here"
	case !l.Ethernet:
		f.Status, f.Value = Warning, f.Value+", without Ethernet"
		f.Advice = "the XDP program takes nothing here, because it reads Ethernet frames: all packets come by the plain socket"
	case l.Parent != "" && l.stacked():
		f.Status, f.Value = Warning, f.Value+" on "+l.Parent
		f.Advice = "give --interface " + l.Parent + ": that is where frames to it pass the XDP program"
	case l.Parent != "" && l.Kind == "vlan":
		f.Status, f.Value = Warning, f.Value+" on "+l.Parent
		f.Advice = "give --interface " + l.Parent + ": the XDP program reads VLAN tags itself, and native XDP works only there"
	}
	return f
}

func (l linkFacts) mtu() Finding {
	// Of the MTU, headers of IPv4 and UDP take 28 bytes. Packets of 2 to 3 kB are normal for calls with long route sets.
	return Finding{
		Check: "mtu", Status: OK,
		Value: fmt.Sprintf("%d; packets over %d bytes take the plain socket", l.MTU, min(l.MTU-28, bpf.MaxPayload)),
	}
}

func (l linkFacts) queues() Finding {
	f := Finding{Check: "queues", Status: OK, Value: fmt.Sprintf("%d", l.Queues)}
	if l.Queues == 1 {
		f.Value += ": one CPU at a time runs the XDP program"
	}
	return f
}

func (l linkFacts) programs() Finding {
	f := Finding{Check: "programs", Status: OK, Value: "none"}
	if l.Own {
		f.Value = "binrepd's own, it runs on this interface"
	}
	if p := l.Foreign; p != nil {
		name := p.Name
		if name == "" {
			name = "unnamed" // or the process may not ask for its name, which takes CAP_SYS_ADMIN
		}
		f.Status, f.Value = Problem, fmt.Sprintf("%s (id %d, %s)", name, p.ID, p.Mode)
		f.Advice = "binrepd never replaces another's program: end its owner, or `ip link set dev " + l.Name + " xdp off`, or use --xdp off"
	}
	return f
}

// attaching reports the trials. It is a problem only if neither mode works.
func (l linkFacts) attaching() []Finding {
	if l.Foreign != nil || l.Own {
		return nil
	}
	native, generic := trial("attach_native", l.Native), trial("attach_generic", l.Generic)
	switch {
	case l.Native != nil && l.Generic != nil:
		native.Status, generic.Status = Problem, Problem
		generic.Advice = "only plain sockets work here; solve the findings of the host first, then try again"
	case l.Native != nil:
		native.Status = Warning
		native.Advice = "generic XDP works but costs more for each packet; a driver with native XDP is several times faster"
	case l.Generic != nil:
		generic.Status = Warning
	}
	return []Finding{native, generic}
}

func trial(check string, err error) Finding {
	if err != nil {
		return Finding{Check: check, Value: control.OneLine(err)}
	}
	return Finding{Check: check, Status: OK, Value: "works"}
}

// auto returns the mode that --xdp auto would choose, and why not a better one.
func (l linkFacts) auto() (mode, reason string) {
	switch {
	case l.Foreign != nil:
		return control.ModeSocket, "another XDP program is attached"
	case l.Own:
		return "what it chose when it started", "binrepd runs; `binrepd status` tells the mode"
	case l.Native == nil:
		return control.ModeNative, ""
	case l.Generic == nil:
		return control.ModeGeneric, control.OneLine(l.Native)
	}
	return control.ModeSocket, control.OneLine(l.Generic)
}

// readLink asks netlink and the driver about an interface.
func readLink(name string) (linkFacts, error) {
	link, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return linkFacts{}, fmt.Errorf("interface %s: no such interface; `ip link` lists them", name)
	}
	if err != nil {
		return linkFacts{}, fmt.Errorf("interface %s: %w", name, err)
	}
	attrs := link.Attrs()
	facts := linkFacts{
		Name:   name,
		Index:  attrs.Index,
		Kind:   link.Type(),
		Driver: driver(name),
		Up:     attrs.RawFlags&unix.IFF_UP != 0,
		MTU:    attrs.MTU,
		Queues: receiveQueues(name, attrs.NumRxQueues),

		Ethernet: attrs.EncapType == "ether",
		Hollow:   slices.Contains([]string{"dummy", "ifb", "nlmon", "vrf"}, link.Type()),
	}
	if attrs.RawFlags&unix.IFF_LOOPBACK != 0 {
		facts.Kind, facts.Hollow = "loopback", true
	}
	// For a veth it is the peer, which may be in another namespace.
	if attrs.ParentIndex != 0 && facts.Kind != "veth" {
		if parent, err := netlink.LinkByIndex(attrs.ParentIndex); err == nil {
			facts.Parent = parent.Attrs().Name
		}
	}
	return facts, nil
}

// driver asks the driver for its name.
func driver(name string) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
	if err != nil {
		return ""
	}
	return unix.ByteSliceToString(info.Driver[:])
}

// receiveQueues counts the queues in use by their entries in sysfs. Sysfs shows the network namespace in which it was
// mounted. If the interface isn't there, the answer is the number of queues that the driver allocated.
func receiveQueues(name string, allocated int) int {
	queues, err := filepath.Glob(filepath.Join("/sys/class/net", name, "queues", "rx-*"))
	if err != nil || len(queues) == 0 {
		return allocated
	}
	return len(queues)
}
