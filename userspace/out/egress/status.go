package egress

import (
	"net/netip"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/out/shield"
)

// Status is a picture of the fan-out.
type Status struct {
	// Sent counts changes passed on, by kind, as OpenSIPS counts create_sent, update_sent and delete_sent: each change once, however
	// many destinations there are, and whether or not sending succeeded.
	Sent         [dialog.Kinds]uint64
	Destinations []DestinationStatus
}

// DestinationStatus is the account of one destination. For the changes forwarded since it was added holds
//
//	forwarded = Queued + Dropped + Own + Report.Held (all but passed) + Sent of each kind + Lost
type DestinationStatus struct {
	Address  string
	Endpoint netip.AddrPort // the zero value while it is not resolved
	State    State
	Since    time.Time // of the state
	Cause    error     // the last error, also if it was overcome
	Rate     int       // packets a second, 0: no limit
	Paused   bool
	Peer     bool // it is another binrepd, and gets events with their stamps

	// What may be missing there until it is synced (NeedsSync).
	Away   time.Duration // how long it was away last
	Moved  bool          // its name led to another address
	Missed uint64        // of Dropped
	// Withheld are changes of generation 2 that were held back or converted before it was known to be another binrepd.
	Withheld uint64

	Sent    [dialog.Kinds]uint64 // packets by kind
	Bytes   uint64               // of packets sent
	Queued  uint64               // changes that wait
	Dropped uint64               // changes that were overwritten before they could be sent
	Own     uint64               // changes that came from there and don't go back, or that it needn't know
	Lost    uint64               // packets that the sink will never take
	// Repeated are updates that were sent once more: an OpenSIPS that may not know the call takes its CSeq from the second only.
	Repeated uint64

	Errors       uint64 // of sending, of any kind, including those that a repetition overcame
	Refusals     uint64 // times that the destination refused
	Unreachables uint64 // times that there was no way

	shield.Report
}

// NeedsSync tells whether the destination may lack something that only a sync gives it. While it is away it can't be synced.
func (s DestinationStatus) NeedsSync() bool {
	return s.State == Up && (s.Away > 0 || s.Moved || s.Missed > 0 || s.Withheld > 0)
}

// Status takes the picture. It doesn't take the journal's lock, so that Forward never waits for it.
func (e *Egress) Status() Status {
	e.mu.RLock()
	defer e.mu.RUnlock()
	s := Status{Destinations: make([]DestinationStatus, 0, len(e.destinations))}
	for kind := range s.Sent {
		s.Sent[kind] = e.sent[kind].Load()
	}
	for _, d := range e.destinations {
		s.Destinations = append(s.Destinations, d.status())
	}
	return s
}

// NeedSync returns the destinations that lack something, and can be synced now.
func (e *Egress) NeedSync() (list []Destination) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, d := range e.destinations {
		if s := d.status(); s.NeedsSync() && !s.Paused {
			list = append(list, d.cfg)
		}
	}
	return list
}

// withheld returns how many changes of generation 2 a destination did not get as they came.
func withheld(r *shield.Report) uint64 { return r.Held[shield.OtherLayout] + r.Lost.Converted }

func (d *destination) status() DestinationStatus {
	inHand := d.inHand.Load()
	queued, dropped := d.tail.standing()
	report := d.shield.Report()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := DestinationStatus{
		Address: d.cfg.Address, State: d.state, Since: d.since, Cause: d.cause, Rate: d.cfg.Rate,
		Sent: d.counts.sent, Bytes: d.counts.bytes,
		Queued: queued + inHand, Dropped: dropped, Own: d.counts.own, Lost: d.counts.lost, Repeated: d.counts.repeated,
		Errors: d.counts.errors, Refusals: d.counts.refusals, Unreachables: d.counts.unreachables,
		Report: report, Paused: d.paused, Peer: d.peer.origin != 0,
		Away: d.gap.away, Moved: d.gap.moved, Missed: dropped - min(dropped, d.gap.dropped),
	}
	if s.Peer {
		s.Withheld = withheld(&report) - min(withheld(&report), d.gap.withheld)
	}
	if d.endpoint.Port != 0 {
		s.Endpoint = d.endpoint.AddrPort()
	}
	return s
}
