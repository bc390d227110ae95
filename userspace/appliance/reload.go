package appliance

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"binrepd/userspace/out/egress"
	"binrepd/userspace/watch/control"
)

// Settings is what a reload reads.
type Settings struct {
	Config Config // valid, but not resolved
	// Differ names the flags of run whose values differ from those before.
	Differ []string
}

// reloadable returns the flags of run that Reload puts into force.
func reloadable() []string {
	return []string{
		"allow", "allow-file", "replicate-to", "replicate-rate", "rewrite-socket", "clear-bye-on-timeout", "log-level",
	}
}

// Reload reads the settings again and puts into force what can change while the appliance runs: allowed sources,
// backups, log level. If the settings are wrong, nothing changes, and the error is a *control.RequestError.
func (a *Appliance) Reload(context.Context) (control.ReloadSummary, error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	none := control.ReloadSummary{Changed: []string{}, NeedRestart: []string{}}
	if a.config.Reread == nil {
		return none, &control.RequestError{Err: errors.New("this appliance has no settings that could be read again")}
	}
	now, err := a.config.Reread()
	if err != nil {
		a.log.Error("reload: the settings are wrong, nothing has changed", "error", err)
		return none, &control.RequestError{Err: err}
	}
	for _, name := range now.Differ {
		if !slices.Contains(reloadable(), name) && !slices.Contains(a.needRestart, name) {
			a.needRestart = append(a.needRestart, name)
		}
	}
	s := control.ReloadSummary{Changed: []string{}, NeedRestart: append([]string{}, a.needRestart...)}
	changed, errAllow := a.reloadAllowed(&now.Config)
	s.Changed = append(s.Changed, changed...)
	changed, errBackups := a.reloadBackups(now.Config.Replicate)
	s.Changed = append(s.Changed, changed...)
	if level := now.Config.LogLevel; a.config.SetLogLevel != nil && level != a.logLevel {
		a.config.SetLogLevel(level)
		a.logLevel = level
		s.Changed = append(s.Changed, "log level: "+strings.ToLower(level.String()))
	}
	err = errors.Join(errAllow, errBackups)
	a.log.Info("reloaded", "changed", s.Changed, "need_restart", s.NeedRestart, "error", err)
	return s, err
}

// reloadAllowed puts the configured sources into force.
func (a *Appliance) reloadAllowed(now *Config) (changed []string, err error) {
	a.input.allowing.Lock()
	defer a.input.allowing.Unlock()
	want := slices.Clone(now.Allow)
	slices.SortFunc(want, func(x, y netip.Prefix) int { return strings.Compare(x.String(), y.String()) })
	have := a.input.gate.Allowed()
	slices.SortFunc(have, func(x, y netip.Prefix) int { return strings.Compare(x.String(), y.String()) })
	if slices.Equal(slices.Compact(want), have) {
		return nil, nil
	}
	if err := a.input.setAllowed(now.Allow); err != nil {
		return nil, fmt.Errorf("allowed sources: %w", err)
	}
	if len(now.Allow) == 0 {
		return []string{"allowed sources: everyone"}, nil
	}
	return []string{fmt.Sprintf("allowed sources: %d prefixes", len(want))}, nil
}

// reloadBackups makes the configured backups those in force. A backup whose rate or rules differ starts anew.
func (a *Appliance) reloadBackups(want []egress.Destination) (changed []string, err error) {
	find := func(list []egress.Destination, address string) int {
		return slices.IndexFunc(list, func(d egress.Destination) bool { return d.Address == address })
	}
	var kept []egress.Destination
	for _, d := range a.backups {
		i := find(want, d.Address)
		if i >= 0 && reflect.DeepEqual(want[i], d) {
			kept = append(kept, d)
			continue
		}
		if removeErr := a.output.egress.Remove(d.Address); removeErr != nil && !errors.Is(removeErr, egress.ErrUnknown) {
			err = errors.Join(err, removeErr)
		}
		if i < 0 {
			changed = append(changed, "backup "+d.Address+": removed")
		}
	}
	for _, d := range want {
		if find(kept, d.Address) >= 0 {
			continue
		}
		if addErr := a.output.egress.Add(d); addErr != nil {
			err = errors.Join(err, addErr)
			continue
		}
		kept = append(kept, d)
		if find(a.backups, d.Address) < 0 {
			changed = append(changed, "backup "+d.Address+": added; a sync brings it what is in the table already")
		} else {
			changed = append(changed, "backup "+d.Address+": new rate or rules")
		}
	}
	a.backups = kept
	return changed, err
}
