package appliance

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/telemetry"
)

// openMetrics opens the metrics address. It returns nil without one, and if the address is taken but not required, as
// beside a second appliance.
func (a *Appliance) openMetrics(ctx context.Context) (*telemetry.Server, error) {
	o, log := &a.config, a.log
	if !o.Metrics.IsValid() {
		return nil, nil
	}
	s, err := telemetry.Listen(ctx, o.Metrics, log)
	if err != nil && o.MetricsRequired {
		return nil, fmt.Errorf("--metrics %s: %w: choose another address, or off", o.Metrics, err)
	}
	if err != nil {
		log.Warn("no metrics: their default address can't be had; choose another by --metrics, or off", "address", o.Metrics, "error", err)
		return nil, nil
	}
	if o.WebConfig != "" {
		if err := s.Secure(o.WebConfig); err != nil {
			return nil, errors.Join(fmt.Errorf("--web.config.file %s: %w", o.WebConfig, err), s.Close())
		}
	}
	recent := telemetry.NewRecent(a.picture)
	s.Handle("GET /metrics", telemetry.Exposition(log, telemetry.NewCollector(recent.Picture)))
	s.Handle("GET /healthz", &a.health)
	s.Handle("GET /readyz", a.health.Readiness(func() control.Status { return recent.Picture().Status }))
	s.Handle("/", a.page())
	if o.Profiles {
		s.HandleProfiles()
	}
	return s, nil
}

// picture returns what a scrape shows.
func (a *Appliance) picture() telemetry.Picture {
	p := telemetry.Picture{
		Engine:   a.engine.Status(),
		Syncs:    a.syncs.ended(),
		Settings: telemetry.Settings{GoVersion: runtime.Version(), StaleAfter: a.config.StaleAfter, SaveInterval: a.config.SaveInterval},
	}
	p.Revision = a.config.Revision
	p.Status = a.countersOf(&p.Engine)
	a.history.Complete(time.Now(), &p.Status)
	return p
}

// serveMetrics answers on the metrics address until ctx ends. An error doesn't end the appliance.
func (a *Appliance) serveMetrics(ctx context.Context) {
	if a.metrics == nil {
		return
	}
	a.log.Info("metrics", "address", a.metrics.Address().String(), "pprof", a.config.Profiles)
	if err := a.metrics.Serve(ctx); err != nil {
		a.log.Error("no metrics any more", "error", err)
	}
}
