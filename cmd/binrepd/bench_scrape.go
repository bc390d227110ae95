package main

import (
	"context"
	"net/netip"

	"binrepd/userspace/appliance"
	"binrepd/userspace/bench"
)

// benchMetrics serves a metrics address for the parts that the bench runs. It shows everything that `binrepd run` shows.
func benchMetrics(ctx context.Context, w bench.Watched) (netip.AddrPort, func() error, error) {
	p := appliance.Parts{
		Listen: w.Listen, Table: w.Table, Engine: w.Engine, Egress: w.Egress, Socket: w.Socket, Program: w.Program, Rings: w.Rings,
	}
	p.Version, p.Revision = buildVersion()
	return appliance.ServeMetrics(ctx, p)
}
