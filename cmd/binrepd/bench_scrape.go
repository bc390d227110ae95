package main

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"

	"binrepd/userspace/bench"
	"binrepd/userspace/in/gate"
	"binrepd/userspace/in/socket"
)

// benchMetrics serves the metrics address of what the bench has at work, with all that `binrepd run` shows there.
func benchMetrics(ctx context.Context, w bench.Watched) (netip.AddrPort, func() error, error) {
	log := slog.New(slog.DiscardHandler)
	a := watchedAppliance(w, log)
	var err error
	if a.metrics, err = a.openMetrics(ctx, log); err != nil {
		return netip.AddrPort{}, nil, err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	parts.Go(func() { a.watch(serving) })
	parts.Go(func() { a.serveMetrics(serving, log) })
	return netip.MustParseAddrPort(a.metrics.Address().String()), func() error {
		stop()
		parts.Wait()
		return a.metrics.Close()
	}, nil
}

// watchedAppliance is one of parts that the bench has, as far as the metrics server looks at it.
func watchedAppliance(w bench.Watched, log *slog.Logger) *appliance {
	o := options{Listen: []netip.AddrPort{w.Listen}, metricsOptions: metricsOptions{
		Metrics: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), MetricsNamed: true,
	}}
	return &appliance{
		options: o, table: w.Table, engine: w.Engine, log: log,
		input:  &input{options: o, log: log, gate: gate.New(gate.Config{}), sockets: []*socket.Socket{w.Socket}, program: w.Program, rings: w.Rings},
		output: &output{egress: w.Egress},
	}
}
