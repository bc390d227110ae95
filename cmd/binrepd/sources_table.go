package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"binrepd/userspace/watch/control"
)

// bySourceTrouble returns the sources in the order in which an operator wants to see them: first those that sent
// something and are silent now, the most recent silence first; then those that send, those with rejected packets before
// the others, each by rate, highest first; at the end those that never sent an event and aren't expected to. Equal ones are ordered by address.
func bySourceTrouble(list []control.SourceStatus) []control.SourceStatus {
	rank := func(s *control.SourceStatus) int {
		switch {
		case s.Last.IsZero() && !s.Expected:
			return 3
		case s.Rate == 0:
			return 0
		case s.Rejected > 0:
			return 1
		}
		return 2
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b control.SourceStatus) int {
		if c := cmp.Compare(rank(&a), rank(&b)); c != 0 {
			return c
		}
		if rank(&a) == 0 {
			if c := b.Last.Compare(a.Last); c != 0 {
				return c
			}
		}
		return cmp.Or(cmp.Compare(b.Rate, a.Rate), compareSources(a.Address, b.Address))
	})
	return list
}

// compareSources orders addresses by number, so that 10.0.0.9 comes before 10.0.0.10, and other names behind them.
func compareSources(a, b string) int {
	x, errX := netip.ParseAddrPort(a)
	y, errY := netip.ParseAddrPort(b)
	if errX != nil || errY != nil {
		return cmp.Compare(a, b)
	}
	return x.Compare(y)
}

// clockText renders by how much the clock of a source is ahead of ours.
func clockText(skew *float64) string {
	if skew == nil {
		return "-"
	}
	return fmt.Sprintf("%+.0fs", *skew)
}

// lastText renders the time of the last event.
func lastText(last, now time.Time) string {
	if last.IsZero() {
		return "never"
	}
	return span(last, now) + " ago"
}
