package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"binrepd/userspace/watch/telemetry"
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

// reassure gives signs of life until ctx ends, as long as look returns, and shows no consumer that did no step since the look before
// although something waited for it.
func (s *supervisor) reassure(ctx context.Context, look func() []telemetry.Consumer) {
	if s.deadline <= 0 {
		return
	}
	tick := time.NewTicker(s.deadline / 3) // two may come late
	defer tick.Stop()
	var before []telemetry.Consumer
	for {
		now := look()
		stuck := telemetry.Stuck(before, now)
		for _, c := range stuck {
			s.log.Error("a consumer stands still: no sign of life for the supervisor", "consumer", c.Name, "waits", c.Waits)
		}
		if len(stuck) == 0 {
			s.say(systemd.SdNotifyWatchdog)
		}
		before = now
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
