package appliance

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"binrepd/userspace/watch/control"
)

// giveToGroup gives the file to a group, if there is such a group and this process may do so.
func giveToGroup(path, name string, log *slog.Logger) error {
	g, err := user.LookupGroup(name)
	if err != nil {
		return nil // no such group, as on most hosts without the package
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("group %s: %w", name, err)
	}
	if err := os.Chown(path, -1, gid); err != nil {
		log.Warn("the control socket can't be given to its group", "group", name, "error", err)
	}
	return nil
}

// capability is a capability that may be kept after the start, and why.
type capability struct {
	number int
	control.KeptCapability
}

// neededLater returns what is still needed when everything runs. CAP_PERFMON was needed to load the program, and
// CAP_NET_BIND_SERVICE to open the sockets; both are done.
func (a *Appliance) neededLater() []capability {
	var list []capability
	need := func(number int, name, why string) {
		list = append(list, capability{number, control.KeptCapability{Name: name, Why: why}})
	}
	if a.input.program != nil {
		need(unix.CAP_BPF, "CAP_BPF", "to read counters, to change the lists of addresses, and to attach again")
		need(unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "to attach again when an interface is deleted and made again")
	}
	// Root without CAP_DAC_OVERRIDE can't write in a folder of another user.
	for _, dir := range []string{filepath.Dir(a.config.Control), a.config.StateDir, a.config.Record} {
		info, err := os.Stat(dir)
		if err == nil && os.Geteuid() == 0 && info.Sys().(*syscall.Stat_t).Uid != 0 {
			need(unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", "to write in "+dir+", which belongs to another user")
			break
		}
	}
	return list
}

// dropPrivileges gives up the privileges that are no longer needed, on all threads, for good.
func (a *Appliance) dropPrivileges() *control.PrivilegeStatus {
	log := a.log
	later := a.neededLater()
	before, err := permitted()
	if err != nil {
		log.Warn("capabilities can't be read", "error", err)
		return &control.PrivilegeStatus{Kept: []control.KeptCapability{}, Reason: err.Error()}
	}
	s := &control.PrivilegeStatus{Kept: []control.KeptCapability{}}
	var keep uint64
	var names []string
	for _, c := range later {
		if before>>c.number&1 == 1 {
			keep |= 1 << c.number
			s.Kept = append(s.Kept, c.KeptCapability)
			names = append(names, c.Name)
		}
	}
	switch err := keepOnly(keep); {
	case errors.Is(err, syscall.ENOTSUP):
		s.Reason = "this build uses cgo, by which not all threads can be reached: build with CGO_ENABLED=0"
	case err != nil:
		s.Reason = err.Error()
	default:
		s.NoNewPrivileges = true
	}
	if s.Reason != "" {
		log.Warn("privileges are not dropped", "reason", s.Reason)
	} else {
		log.Info("privileges dropped", "kept", cmp.Or(strings.Join(names, " "), "none"), "no_new_privs", true)
		for _, k := range s.Kept {
			log.Debug("privilege kept", "capability", k.Name, "why", k.Why)
		}
	}
	return s
}
