package appliance

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"binrepd/userspace/watch/telemetry"
)

// supervisor is the program that started the appliance and wants to know its state: systemd with Type=notify,
// sd_notify(3). The methods do nothing if there is none, or if the receiver is nil.
type supervisor struct {
	// deadline is how long the supervisor waits for a sign of life before it kills the process (WatchdogSec=); 0: for ever.
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
	if s == nil {
		return
	}
	if _, err := systemd.SdNotify(false, state); err != nil {
		s.log.Warn("no message to the supervisor", "state", state, "error", err)
	}
}

// reassure gives signs of life until ctx ends, but not while look blocks or shows a stuck consumer: one that made no step
// since the look before although something waited for it.
func (s *supervisor) reassure(ctx context.Context, look func() []telemetry.Consumer) {
	if s == nil || s.deadline <= 0 {
		return
	}
	tick := time.NewTicker(s.deadline / 3) // two may come late
	defer tick.Stop()
	var before []telemetry.Consumer
	for {
		now := look()
		stuck := telemetry.Stuck(before, now)
		for _, c := range stuck {
			s.log.Error("a consumer is stuck: no sign of life for the supervisor", "consumer", c.Name, "waits", c.Waits)
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
