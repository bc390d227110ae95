package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"binrepd/bpf"
)

// Modes as doctor and status name them.
const (
	modeNative  = "xdp-native"
	modeGeneric = "xdp-generic"
	modeSocket  = "socket"
)

// linkFacts is what doctor asks of one interface.
type linkFacts struct {
	Name   string
	Index  int
	Kind   string // as in `ip -d link`: device, veth, vlan, bond ...
	Driver string // "" where the driver has no name, as lo
	Parent string // the interface that it stands on, "" for none
	Up     bool
	MTU    int // bytes
	Queues int // receive queues in use
	// Programs are the XDP programs on the interface that aren't binrepd's.
	Programs []xdpProgram
	// Busy tells that binrepd's own program is there.
	Busy bool
	// Native and Generic are what came of attaching, nil for success. With Programs or Busy it wasn't tried.
	Native, Generic error
}

// xdpProgram is an XDP program on an interface.
type xdpProgram struct {
	ID   uint32
	Name string
	Mode string // native, generic or offload
}

// findings judges the interface.
func (l linkFacts) findings() []finding {
	return append([]finding{l.link(), l.mtu(), l.queues(), l.programs()}, l.attaching()...)
}

func (l linkFacts) link() finding {
	f := finding{Check: "interface", Status: findingOK, Value: l.Kind}
	if l.Driver != "" && l.Driver != l.Kind {
		f.Value += ", driver " + l.Driver
	}
	switch {
	case !l.Up:
		f.Status, f.Value = findingWarning, f.Value+", down"
		f.Advice = "ip link set dev " + l.Name + " up: nothing is received on an interface that is down"
	case l.Parent != "" && l.Kind == "vlan":
		f.Status, f.Value = findingWarning, f.Value+" on "+l.Parent
		f.Advice = "give --interface " + l.Parent + ": the XDP program reads VLAN tags itself, and native XDP works only there"
	}
	return f
}

func (l linkFacts) mtu() finding {
	// Of the MTU, headers of IPv4 and UDP take 28 bytes. Packets of 2 to 3 kB are normal for calls with long route sets.
	return finding{
		Check: "mtu", Status: findingOK,
		Value: fmt.Sprintf("%d; packets over %d bytes take the plain socket", l.MTU, min(l.MTU-28, bpf.MaxPayload)),
	}
}

func (l linkFacts) queues() finding {
	f := finding{Check: "queues", Status: findingOK, Value: fmt.Sprintf("%d", l.Queues)}
	if l.Queues == 1 {
		f.Value += ": one CPU at a time runs the XDP program"
	}
	return f
}

func (l linkFacts) programs() finding {
	f := finding{Check: "programs", Status: findingOK, Value: "none"}
	if l.Busy {
		f.Value = "binrepd's own, it runs on this interface"
	}
	if len(l.Programs) > 0 {
		var names []string
		for _, p := range l.Programs {
			name := p.Name
			if name == "" {
				name = "unnamed" // or its name may not be asked for, which takes CAP_SYS_ADMIN
			}
			names = append(names, fmt.Sprintf("%s (id %d, %s)", name, p.ID, p.Mode))
		}
		f.Status, f.Value = findingProblem, strings.Join(names, ", ")
		f.Advice = "binrepd never replaces another's program: end its owner, or `ip link set dev " + l.Name + " xdp off`, or use --xdp off"
	}
	return f
}

// attaching reports the trials. That only one of the two ways works is no problem, that none does is.
func (l linkFacts) attaching() []finding {
	if len(l.Programs) > 0 || l.Busy {
		return nil
	}
	native, generic := trial("attach_native", l.Native), trial("attach_generic", l.Generic)
	switch {
	case l.Native != nil && l.Generic != nil:
		native.Status, generic.Status = findingProblem, findingProblem
		generic.Advice = "only plain sockets work here; solve the findings of the host first, then try again"
	case l.Native != nil:
		native.Status = findingWarning
		native.Advice = "generic XDP works but costs more for each packet; a driver with native XDP is several times faster"
	case l.Generic != nil:
		generic.Status = findingWarning
	}
	return []finding{native, generic}
}

func trial(check string, err error) finding {
	if err != nil {
		return finding{Check: check, Value: oneLine(err)}
	}
	return finding{Check: check, Status: findingOK, Value: "works"}
}

// auto tells which mode --xdp auto would choose, and why not a better one.
func (l linkFacts) auto() (mode, reason string) {
	switch {
	case len(l.Programs) > 0:
		return modeSocket, "another XDP program is attached"
	case l.Busy:
		return "what it chose when it started", "binrepd runs; `binrepd status` tells the mode"
	case l.Native == nil:
		return modeNative, ""
	case l.Generic == nil:
		return modeGeneric, oneLine(l.Native)
	}
	return modeSocket, oneLine(l.Generic)
}

// readLink asks netlink and the driver about an interface; XDP is left to readXDP.
func readLink(name string) (linkFacts, error) {
	link, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return linkFacts{}, fmt.Errorf("--interface %s: no such interface; `ip link` lists them", name)
	}
	if err != nil {
		return linkFacts{}, fmt.Errorf("--interface %s: %w", name, err)
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
	}
	if attrs.RawFlags&unix.IFF_LOOPBACK != 0 {
		facts.Kind = "loopback"
	}
	// veth has its peer there, which may be in another namespace and is nothing to stand on.
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

// receiveQueues counts the queues in use by their entries in sysfs, which shows the network namespace in which it
// was mounted; where the interface isn't there it is the number that the driver allocated.
func receiveQueues(name string, allocated int) int {
	queues, err := filepath.Glob(filepath.Join("/sys/class/net", name, "queues", "rx-*"))
	if err != nil || len(queues) == 0 {
		return allocated
	}
	return len(queues)
}
