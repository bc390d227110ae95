package appliance

import (
	"context"
	"fmt"
	"time"

	"binrepd/userspace/in/packets"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/sources"
)

// ChangeSources forgets a source or expects it to send, and returns the new list. A wrong request is a
// *control.RequestError.
func (a *Appliance) ChangeSources(_ context.Context, req control.SourceRequest) (control.SourceList, error) {
	if err := a.changeSources(req); err != nil {
		return control.SourceList{}, &control.RequestError{Err: err}
	}
	a.log.Info("sources changed", "do", req.Do, "source", req.Address)
	s := a.Status()
	return control.SourceList{Sources: s.Sources}, nil
}

func (a *Appliance) changeSources(req control.SourceRequest) error {
	name, err := sources.Parse(req.Address)
	if err != nil {
		return err
	}
	switch req.Do {
	case control.SourceExpect:
		return a.sources.Expect(name)
	case control.SourceForget:
		known, err := a.sources.Forget(name)
		forgot := a.engine.Forget(func(s packets.Sender) bool { return sources.Matches(name, s.AddrPort()) })
		if !known && forgot == 0 && err == nil {
			err = fmt.Errorf("no source %s is known: see binrepd sources list", name)
		}
		return err
	}
	return fmt.Errorf("sources: can't %q", req.Do)
}

// watchRestarts notices restarts of proxies until ctx ends, and logs each.
func (a *Appliance) watchRestarts(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if !a.restarts.Sample(now, a.engine.Sources()) {
				continue
			}
			for _, r := range a.restarts.Look(now, a.table, a.engine.Sender) {
				a.log.Warn("a source was restarted: its calls from before are ghosts, and a sync would bring them back",
					"source", r.Sender.String(), "silent_seconds", r.Silent.Round(time.Second).Seconds(), "dialogs", r.Left,
					"advice", fmt.Sprintf("binrepd dialogs ghosts --origin %s --before %s, then the same with --remove; "+
						"next time sync the proxy before it takes SIP", r.Sender, r.Before.UTC().Format(time.RFC3339)))
			}
		}
	}
}
