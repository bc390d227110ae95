package appliance

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"

	"binrepd/bpf"
	"binrepd/dialog"
	"binrepd/userspace/in/gate"
	"binrepd/userspace/in/ring"
	"binrepd/userspace/in/socket"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/state/conflicts"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/proxies"
)

// Parts are the parts of an appliance that something else than Open made, such as a benchmark. Program and Rings are empty
// without XDP.
type Parts struct {
	Listen   netip.AddrPort
	Table    *dialog.Table
	Engine   *engine.Engine
	Egress   *egress.Egress
	Socket   *socket.Socket
	Program  *bpf.Program
	Rings    []*ring.Source
	Version  string
	Revision string
}

// ServeMetrics answers HTTP about parts as an appliance does about its own, on a free port of the loopback, until stop is
// called.
func ServeMetrics(ctx context.Context, p Parts) (address netip.AddrPort, stop func() error, err error) {
	a := p.appliance()
	if a.metrics, err = a.openMetrics(ctx); err != nil {
		return netip.AddrPort{}, nil, err
	}
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	parts.Go(func() { a.watch(serving) })
	parts.Go(func() { a.serveMetrics(serving) })
	return netip.MustParseAddrPort(a.metrics.Address().String()), func() error {
		end()
		parts.Wait()
		return a.metrics.Close()
	}, nil
}

// appliance returns an appliance of these parts, which has all that the metrics address looks at.
func (p *Parts) appliance() *Appliance {
	log := slog.New(slog.DiscardHandler)
	a := &Appliance{
		config: Config{
			Listen: []netip.AddrPort{p.Listen}, Version: p.Version, Revision: p.Revision, Log: log,
			Metrics: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), MetricsRequired: true,
		},
		table: p.Table, engine: p.Engine, log: log, output: &output{egress: p.Egress},
		conflicts: conflicts.New(false, 0), proxies: &proxies.Service{},
	}
	a.input = &input{
		config: &a.config, log: log, gate: gate.New(gate.Config{}), sockets: []*socket.Socket{p.Socket}, program: p.Program, rings: p.Rings,
	}
	return a
}
