package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"time"

	"github.com/urfave/cli/v2"

	"binrepd/userspace/watch/control"
	"binrepd/userspace/watch/telemetry"
)

const (
	// defaultMetrics is reached from this host only: metrics name the proxies, the page shows calls, and there is no password.
	defaultMetrics = "127.0.0.1:9470"
	metricsOff     = "off"
)

func metricsFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "metrics", Category: categoryControl, Value: defaultMetrics,
			Usage: "answer HTTP at `ADDRESS:PORT`: a page for people, with a search of calls, /metrics for Prometheus, /healthz and /readyz; off: " +
				"nowhere. There is no password: name an address that only those reach who may read",
		},
		&cli.BoolFlag{
			Name: "pprof", Category: categoryControl, DisableDefaultText: true,
			Usage: "answer /debug/pprof/ there, too: profiles of the running program, for its developers",
		},
	}
}

// metricsOptions say what is served on the metrics address.
type metricsOptions struct {
	Metrics netip.AddrPort // the zero value: nothing is
	// MetricsNamed is whether somebody asked for that address. Then it must be had.
	MetricsNamed bool
	Profiles     bool
}

func parseMetrics(c *cli.Context) (o metricsOptions, err error) {
	o.Profiles = c.Bool("pprof")
	text := c.String("metrics")
	if text == metricsOff {
		if o.Profiles {
			return o, errors.New("--pprof: with --metrics off there is nowhere to show profiles; leave one of them out")
		}
		return o, nil
	}
	o.MetricsNamed = c.IsSet("metrics")
	if o.Metrics, err = netip.ParseAddrPort(text); err != nil {
		return o, fmt.Errorf("--metrics %s: not ADDRESS:PORT; write %s, [::1]:9470, 0.0.0.0:9470 for every IPv4 address, or off", text, defaultMetrics)
	}
	return o, nil
}

// openMetrics takes the metrics address. It returns nil if there is to be none, or if it is the default one and can't be had, as beside
// a second appliance.
func (a *appliance) openMetrics(ctx context.Context, log *slog.Logger) (*telemetry.Server, error) {
	o := &a.options
	if !o.Metrics.IsValid() {
		return nil, nil
	}
	s, err := telemetry.Listen(ctx, o.Metrics, log)
	if err != nil && o.MetricsNamed {
		return nil, fmt.Errorf("--metrics %s: %w: choose another address, or off", o.Metrics, err)
	}
	if err != nil {
		log.Warn("no metrics: their default address can't be had; choose another by --metrics, or off", "address", o.Metrics, "error", err)
		return nil, nil
	}
	recent := telemetry.NewRecent(a.picture)
	s.Handle("GET /metrics", telemetry.Exposition(log, telemetry.NewCollector(recent.Picture)))
	s.Handle("GET /healthz", &a.health)
	s.Handle("GET /readyz", a.health.Readiness(func() control.Status { return recent.Picture().Status }))
	s.Handle("/", a.page(log))
	if o.Profiles {
		s.HandleProfiles()
	}
	return s, nil
}

// picture is what a scrape shows.
func (a *appliance) picture() telemetry.Picture {
	p := telemetry.Picture{
		Engine:   a.engine.Status(),
		Syncs:    a.syncs.ended(),
		Settings: telemetry.Settings{GoVersion: runtime.Version(), StaleAfter: a.options.StaleAfter, SaveInterval: a.options.SaveInterval},
	}
	_, p.Revision = buildVersion()
	p.Status = a.countersOf(&p.Engine)
	a.history.Complete(time.Now(), &p.Status)
	return p
}

// serveMetrics answers on the metrics address until ctx ends. That it can't is no reason to end the appliance.
func (a *appliance) serveMetrics(ctx context.Context, log *slog.Logger) {
	if a.metrics == nil {
		return
	}
	log.Info("metrics", "address", a.metrics.Address().String(), "pprof", a.options.Profiles)
	if err := a.metrics.Serve(ctx); err != nil {
		log.Error("no metrics any more", "error", err)
	}
}
