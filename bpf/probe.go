package bpf

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// HostReport holds the properties of a host that matter to XDP.
type HostReport struct {
	// Kernel is the release, such as "6.1.0-18-amd64".
	Kernel string `json:"kernel"`
	// BTF is true if the kernel has type information. The program doesn't need it.
	BTF bool `json:"btf"`
	// JIT is the state of the JIT compiler for BPF: "on", "debug", "off", or "unknown" if /proc doesn't say.
	JIT string `json:"jit"`
	// Held and Missing are the relevant capabilities that the process has and lacks.
	Held    []string `json:"capabilities_held"`
	Missing []string `json:"capabilities_missing"`
	// Load is why the program can't be loaded, or nil.
	Load error `json:"-"`
}

// ProbeHost examines the host and tries to load the program.
func ProbeHost() HostReport {
	r := HostReport{Kernel: release(), JIT: jit(), Held: HeldCapabilities(), Missing: MissingCapabilities()}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err == nil {
		r.BTF = true
	}
	p, err := Load(Config{Rings: 1, RingSize: LeastRingSize()})
	if err != nil {
		r.Load = err
		return r
	}
	r.Load = p.Close()
	return r
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

func jit() string {
	b, err := os.ReadFile("/proc/sys/net/core/bpf_jit_enable")
	if err != nil {
		return "unknown"
	}
	switch strings.TrimSpace(string(b)) {
	case "0":
		return "off"
	case "1":
		return "on"
	case "2":
		return "debug"
	}
	return "unknown"
}

// InterfaceReport holds the properties of an interface that matter to XDP.
type InterfaceReport struct {
	Name  string `json:"name"`
	Index int    `json:"index"`
	Up    bool   `json:"up"`
	MTU   int    `json:"mtu"`
	// Driver is the name of the kernel's driver, or the kind of a virtual interface.
	Driver   string `json:"driver"`
	RXQueues int    `json:"rx_queues"`
	// Foreign is the XDP program of another owner on the interface, or nil. If there is one, no mode is tried.
	Foreign *ForeignProgram `json:"foreign_program"`
	// Native and Generic are why the mode doesn't work, or nil.
	Native  error `json:"-"`
	Generic error `json:"-"`
}

// Mode returns the mode that Auto would choose. It returns Auto itself if neither works.
func (r InterfaceReport) Mode() Mode {
	switch {
	case r.Foreign != nil:
		return Auto
	case r.Native == nil:
		return Native
	case r.Generic == nil && errors.Is(r.Native, errors.ErrUnsupported):
		return Generic
	}
	return Auto
}

// ProbeInterface examines an interface in the network namespace of the calling thread. In each mode it attaches a
// program that passes every frame, and removes it at once. Some drivers take the link down for a moment when they
// switch to native mode and back.
func ProbeInterface(name string) (InterfaceReport, error) {
	dev, err := netlink.LinkByName(name)
	if err != nil {
		return InterfaceReport{}, fmt.Errorf("interface %s: %w", name, err)
	}
	attrs := dev.Attrs()
	r := InterfaceReport{
		Name: name, Index: attrs.Index, Up: isUp(dev), MTU: attrs.MTU,
		Driver: driver(dev), RXQueues: attrs.NumRxQueues, Foreign: attached(dev),
	}
	if r.Foreign != nil {
		r.Native = foreign(dev)
		r.Generic = r.Native
		return r, nil
	}
	program, err := passProgram()
	if err != nil {
		r.Native, r.Generic = err, err
		return r, nil
	}
	defer program.Close()
	r.Native = try(program, attrs.Index, Native)
	r.Generic = try(program, attrs.Index, Generic)
	return r, nil
}

// passProgram loads a program that passes every frame. Like the real program, it supports multi-buffer frames.
func passProgram() (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "binrepd_probe", Type: ebpf.XDP, License: "GPL", Flags: unix.BPF_F_XDP_HAS_FRAGS,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // XDP_PASS
	})
	if err != nil {
		return nil, permission("load XDP program", err)
	}
	return p, nil
}

func try(program *ebpf.Program, index int, mode Mode) error {
	a, err := attach(program, index, mode)
	if err != nil {
		return err
	}
	return a.Close()
}

// driver returns the name that the driver reports. Some virtual interfaces have no driver that answers; then it returns
// their kind.
func driver(dev netlink.Link) string {
	if dev.Attrs().Flags&net.FlagLoopback != 0 {
		return "loopback"
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return dev.Type()
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, dev.Attrs().Name)
	if err != nil {
		return dev.Type()
	}
	return unix.ByteSliceToString(info.Driver[:])
}
