package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"binrepd/userspace/control"
)

// supervisor is who started the daemon and wants to know how it is: systemd with Type=notify, sd_notify(3). Without one
// its methods do nothing.
type supervisor struct {
	// deadline is after how long without a sign of life it kills the daemon (WatchdogSec=); 0: never.
	deadline time.Duration
	log      *slog.Logger
}

func newSupervisor(log *slog.Logger) (*supervisor, error) {
	deadline, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("WATCHDOG_USEC of the environment: %w", err)
	}
	return &supervisor{deadline: deadline, log: log}, nil
}

func (s *supervisor) ready()    { s.say(systemd.SdNotifyReady) }
func (s *supervisor) stopping() { s.say(systemd.SdNotifyStopping) }

func (s *supervisor) say(state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		s.log.Warn("the supervisor can't be told", "state", state, "error", err)
	}
}

// reassure gives signs of life until ctx ends, as long as the packet path makes progress. Taking the counters is half of the
// proof: it takes every lock of that path, one after the other, so that it hangs if a consumer hangs with one of them.
// The other half is that no ring with records in it stands still.
func (s *supervisor) reassure(ctx context.Context, counters func() control.Status) {
	if s.deadline <= 0 {
		return
	}
	tick := time.NewTicker(s.deadline / 3) // two may come late
	defer tick.Stop()
	var before []control.RingStatus
	for {
		rings := counters().Rings
		if i := stuck(before, rings); i < 0 {
			s.say(systemd.SdNotifyWatchdog)
		} else {
			s.log.Error("a ring is not read: no sign of life for the supervisor", "ring", i, "fill", rings[i].Fill)
		}
		before = rings
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// stuck returns the first ring that had records at both times and of which none was read in between, or -1.
func stuck(before, now []control.RingStatus) int {
	for i := range min(len(before), len(now)) {
		if before[i].Fill > 0 && now[i].Fill > 0 && before[i].Records == now[i].Records {
			return i
		}
	}
	return -1
}
