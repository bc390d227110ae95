package main

import (
	"context"
	"net/netip"

	"binrepd/userspace/appliance"
	"binrepd/userspace/bench"
)

// benchMetrics serves the metrics address of the parts that the bench runs, with everything that `binrepd run` shows there.
func benchMetrics(ctx context.Context, w bench.Watched) (netip.AddrPort, func() error, error) {
	p := appliance.Parts{
		Listen: w.Listen, Table: w.Table, Engine: w.Engine, Egress: w.Egress, Socket: w.Socket, Program: w.Program, Rings: w.Rings,
	}
	p.Version, p.Revision = buildVersion()
	return appliance.ServeMetrics(ctx, p)
}
