package live

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"binrepd/userspace/watch/control"
)

// Numbers of columns in the table of sources.
const sourceRate = 1

func sourcesTable() table {
	source := func(d *data, row int) *control.SourceStatus { return &d.status.Sources[row] }
	return table{
		name: "sources", sort: sourceRate, descending: true,
		rows: func(d *data) int { return len(d.status.Sources) },
		graph: func(d *data, row int) *series {
			s := d.sources[source(d, row).Address]
			return &s
		},
		columns: []column{
			{
				name: "SOURCE", left: true, min: 28,
				text: func(d *data, g *glyphs, row int) (string, Style) { return g.clean(source(d, row).Address), Plain },
				compare: func(d *data, a, b int) int {
					return compareAddresses(source(d, a).Address, source(d, b).Address)
				},
			},
			{
				name: "PER SECOND",
				text: func(d *data, _ *glyphs, row int) (string, Style) { return rate(source(d, row).Rate), Strong },
				compare: byNumber(func(d *data, row int) float64 {
					return source(d, row).Rate
				}),
			},
			counter("EVENTS", 0, false, func(s *control.Status, row int) uint64 { return s.Sources[row].Events }),
			counter("REJECTED", 2, true, func(s *control.Status, row int) uint64 { return s.Sources[row].Rejected }),
			{
				name: "CLOCK", spare: 3,
				text: func(d *data, _ *glyphs, row int) (string, Style) {
					skew := source(d, row).Skew
					if skew == nil {
						return "-", Faint
					}
					style := Plain
					if math.Abs(*skew) > maxSkew {
						style = Warning
					}
					return fmt.Sprintf("%+.0fs", *skew), style
				},
				compare: byNumber(func(d *data, row int) float64 {
					if skew := source(d, row).Skew; skew != nil {
						return *skew
					}
					return math.NaN()
				}),
			},
			{
				name: "LAST EVENT",
				text: func(d *data, _ *glyphs, row int) (string, Style) {
					last := source(d, row).Last
					if last.IsZero() {
						return "never", Faint
					}
					style := Plain
					if source(d, row).Counts && d.at.Sub(last) > quiet {
						style = Warning
					}
					return span(last, d.at) + " ago", style
				},
				compare: byNumber(func(d *data, row int) float64 {
					if last := source(d, row).Last; !last.IsZero() {
						return d.at.Sub(last).Seconds()
					}
					return math.Inf(1)
				}),
			},
		},
	}
}

const (
	// maxSkew is how many seconds a source's clock may be off before that is highlighted. The timeouts of its calls are
	// off by as much.
	maxSkew = 5
	// quiet is how long a source may be silent before that is highlighted. The appliance calls it stale later.
	quiet = time.Minute
)

// compareAddresses orders addresses as numbers. Other texts come after them.
func compareAddresses(a, b string) int {
	x, xerr := netip.ParseAddrPort(a)
	y, yerr := netip.ParseAddrPort(b)
	switch {
	case xerr == nil && yerr == nil:
		return x.Compare(y)
	case xerr == nil:
		return -1
	case yerr == nil:
		return 1
	}
	return strings.Compare(a, b)
}

func backupsTable() table {
	backup := func(d *data, row int) *control.DestinationStatus { return &d.status.Destinations[row] }
	perSecond := func(d *data, row int) float64 {
		s := d.backups[backup(d, row).Address]
		return s.last()
	}
	return table{
		name: "backups",
		rows: func(d *data) int { return len(d.status.Destinations) },
		graph: func(d *data, row int) *series {
			s := d.backups[backup(d, row).Address]
			return &s
		},
		columns: []column{
			{
				name: "BACKUP", left: true, min: 28,
				text:    func(d *data, g *glyphs, row int) (string, Style) { return g.clean(backup(d, row).Address), Plain },
				compare: func(d *data, a, b int) int { return compareAddresses(backup(d, a).Address, backup(d, b).Address) },
			},
			{
				name: "STATE", left: true,
				text: func(d *data, g *glyphs, row int) (string, Style) {
					b := backup(d, row)
					state, style := g.clean(b.State), Bad
					if state == "up" {
						style = Good
					}
					if b.Paused {
						state, style = state+", paused", Warning
					}
					if b.NeedsSync != "" {
						state, style = state+", needs sync", Bad
					}
					return state, style
				},
				compare: func(d *data, a, b int) int { return cmp.Compare(backup(d, a).State, backup(d, b).State) },
			},
			{
				name: "FOR", spare: 4,
				text: func(d *data, _ *glyphs, row int) (string, Style) { return span(backup(d, row).Since, d.at), Plain },
				compare: byNumber(func(d *data, row int) float64 {
					return d.at.Sub(backup(d, row).Since).Seconds()
				}),
			},
			{
				name: "PER SECOND", spare: 2,
				text:    func(d *data, _ *glyphs, row int) (string, Style) { return rate(perSecond(d, row)), Strong },
				compare: byNumber(perSecond),
			},
			counter("SENT", 3, false, func(s *control.Status, row int) uint64 { return s.Destinations[row].Sent }),
			counter("QUEUED", 0, false, func(s *control.Status, row int) uint64 { return s.Destinations[row].Queued }),
			counter("DROPPED", 0, true, func(s *control.Status, row int) uint64 {
				return s.Destinations[row].Dropped + s.Destinations[row].Lost
			}),
			counter("HELD", 0, false, func(s *control.Status, row int) uint64 { return total(s.Destinations[row].Held) }),
			{
				name: "CAUSE", left: true, spare: 5, min: 20, wide: 100,
				text: func(d *data, g *glyphs, row int) (string, Style) {
					if b := backup(d, row); b.State != "up" {
						return g.clean(b.Cause), Bad
					}
					return "", Plain
				},
				compare: func(d *data, a, b int) int { return cmp.Compare(backup(d, a).Cause, backup(d, b).Cause) },
			},
		},
	}
}
