package bpf

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// capabilities lists the capabilities that matter here, and what each is for.
var capabilities = [...]struct {
	number int
	name   string
	needed bool
}{
	{unix.CAP_BPF, "CAP_BPF", true},              // to create maps and load programs
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", true},  // to load XDP programs and attach them
	{unix.CAP_PERFMON, "CAP_PERFMON", true},      // arithmetic on packet pointers: misuse could read memory
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN", false}, // includes BPF and PERFMON; shows foreign programs' names
}

// effective returns the effective capabilities of the calling thread as a bit set.
func effective() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	return uint64(data[0].Effective) | uint64(data[1].Effective)<<32, nil
}

// HeldCapabilities returns the names of the relevant capabilities that the process has.
func HeldCapabilities() []string {
	set, err := effective()
	if err != nil {
		return nil
	}
	var held []string
	for _, c := range capabilities {
		if set>>c.number&1 == 1 {
			held = append(held, c.name)
		}
	}
	return held
}

// MissingCapabilities returns the names of the capabilities that loading and attaching need but the process lacks.
func MissingCapabilities() []string {
	set, err := effective()
	if err != nil {
		return nil
	}
	return missing(set)
}

func missing(set uint64) []string {
	if set>>unix.CAP_SYS_ADMIN&1 == 1 {
		set |= 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON
	}
	var names []string
	for _, c := range capabilities {
		if c.needed && set>>c.number&1 == 0 {
			names = append(names, c.name)
		}
	}
	return names
}
