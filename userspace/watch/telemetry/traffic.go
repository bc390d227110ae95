package telemetry

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"binrepd/dialog"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin2"
)

const (
	// ownSeries is how many sources have their own series. These are the first sources, not those that send most. A
	// series that comes and goes, and moves its counts to "other" and back, can't be added up.
	ownSeries = 128
	// ownCapabilities is the same for names of other capabilities. Only one is known: ul, of registrations.
	ownCapabilities = 16
	other           = "other"
)

// traffic sends metrics of the received packets and their outcomes.
func (s *scrape) traffic() {
	total := s.Engine.Total()
	for k := dialog.Create; k < dialog.Chunk; k++ {
		for o := dialog.NoOutcome + 1; o < dialog.Outcomes; o++ {
			s.count(events, total.Outcomes[k][o], "dialog", k.String(), o.String())
		}
	}
	s.count(events, total.Verdicts2[bin2.Chunks], "dialog", "sync", "taken")
	s.otherCapabilities(total.OtherCapability())
	s.count(forwarded, s.CreateSent, "create")
	s.count(forwarded, s.UpdateSent, "update")
	s.count(forwarded, s.DeleteSent, "delete")
	for i := range s.Listeners {
		s.listener(&s.Listeners[i], s.Engine.Intakes[i].Bytes)
	}
	for i := range s.Clusters {
		s.cluster(&s.Clusters[i])
	}
	for i := range s.Bridges {
		s.bridge(&s.Bridges[i])
	}
	s.losses()
}

// cluster sends the metrics of one cluster. Its account is that of a listener.
func (s *scrape) cluster(c *control.ClusterStatus) {
	number := strconv.Itoa(int(c.Cluster))
	name := "cluster " + number
	s.count(seen, c.Account.Seen, name)
	for reason, n := range c.Account.Rejected {
		if !refusedByTable(reason) {
			s.count(rejected, n, name, reason)
		}
	}
	for reason, n := range c.Account.Lost {
		s.count(lost, n, name, reason)
	}
	s.flag(clusterIncomplete, c.Sync.Incomplete != "", number)
	s.count(clusterSyncs, c.Sync.Done, number, "complete")
	s.count(clusterSyncs, c.Sync.Failed, number, "failed")
	s.moment(clusterSyncLast, c.Sync.Complete, number)
	s.count(clusterGaps, c.Gaps, number)
	s.count(clusterConflicts, c.Counts.TagConflicts, number)
	if fed := c.UDP; fed != nil {
		s.count(clusterFed, fed.Sent, number)
		for reason, n := range fed.Held {
			s.count(clusterFedHeld, n, number, reason)
		}
		s.count(clusterFedLost, fed.Lost+fed.NotSent, number)
		for field, n := range fed.Dropped {
			s.count(clusterFedConversionLost, n, number, field)
		}
	}
	var disputed, fenced uint64
	for i := range c.Conflicts {
		disputed += c.Conflicts[i].Events
		fenced += c.Conflicts[i].Refused
	}
	s.count(clusterDisputed, disputed-fenced, number, "applied")
	s.count(clusterDisputed, fenced, number, "fenced")
	for k := range c.Nodes {
		n := &c.Nodes[k]
		node := strconv.Itoa(int(n.Node))
		s.flag(clusterNodeUp, n.LinkState == membership.Up, number, node)
		s.moment(clusterNodeState, n.LinkSince, number, node)
		s.count(clusterRestarts, uint64(n.Restarts), number, node)
	}
}

// bridge sends the account of one direction between two clusters.
func (s *scrape) bridge(b *control.BridgeStatus) {
	name := fmt.Sprintf("%d:%d", b.From, b.To)
	s.count(clusterBridge, b.Packets, name, "sent")
	s.count(clusterBridge, b.NotSent, name, "not_sent")
	s.count(clusterBridge, b.Lost, name, "lost")
	for _, reason := range slices.Sorted(maps.Keys(b.Held)) {
		s.count(clusterBridge, b.Held[reason], name, reason)
	}
}

// otherCapabilities sends the counts of packets of other capabilities by name. n is their total.
func (s *scrape) otherCapabilities(n uint64) {
	for _, name := range s.named(s.Capabilities) {
		s.count(events, s.Capabilities[name], name, "any", "ignored")
		n -= min(n, s.Capabilities[name])
	}
	s.count(events, n, other, "any", "ignored")
}

// named returns the names that have their own series, and remembers them. Senders choose the names. Names that are not
// valid text have no series, since two of them might look the same.
func (c *Collector) named(counts map[string]uint64) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if len(c.names) < ownCapabilities && utf8.ValidString(name) && name != engine.OtherCapabilities && name != other &&
			!slices.Contains(c.names, name) {
			c.names = append(c.names, name)
		}
	}
	return slices.Clone(c.names)
}

// listener sends the metrics of one listen address.
func (s *scrape) listener(l *control.ListenerStatus, bytes uint64) {
	s.count(seen, l.Seen, l.Address)
	s.count(received, l.Steered, l.Address, "ring")
	s.count(received, l.Socket, l.Address, "socket")
	s.count(receivedBytes, bytes, l.Address)
	for reason, n := range l.Rejected {
		if !refusedByTable(reason) {
			s.count(rejected, n, l.Address, reason)
		}
	}
	for reason, n := range l.Lost {
		s.count(lost, n, l.Address, reason)
	}
	for reason, n := range l.Passed {
		s.count(passed, n, l.Address, reason)
	}
	s.send(receiveBuffer, float64(l.ReceiveBuffer), l.Address)
	s.count(receiveBufferUsed, l.Waiting, l.Address)
}

// refusedByTable reports whether status lists this reason with the rejected datagrams although the metrics count it as
// an event.
func refusedByTable(reason string) bool {
	return reason == dialog.RefusedMemory.String() || reason == dialog.RefusedCall.String() || reason == dialog.RefusedChange.String()
}

// places maps the reasons of loss to the places where datagrams are lost.
var places = [...]struct{ reason, place string }{
	{"socket_buffer", "kernel"}, {"truncated", "socket"}, {"rate_limited", "gate"}, {"queue_full", "stream"},
}

// losses sends the sums of what control.Status.Losses has.
func (s *scrape) losses() {
	for _, p := range places {
		s.count(losses, s.Lost[p.reason], p.place, p.reason)
	}
	for _, o := range [...]dialog.Outcome{dialog.RefusedMemory, dialog.RefusedCall, dialog.RefusedChange} {
		s.count(losses, s.Rejected[o.String()], "table", o.String())
	}
	var inFront, overwritten, unsent uint64
	for i := range s.Interfaces {
		inFront += s.Interfaces[i].Lost
	}
	s.count(losses, inFront, "interface", "before_xdp")
	for i := range s.Destinations {
		overwritten += s.Destinations[i].Dropped
		unsent += s.Destinations[i].Lost
	}
	s.count(losses, overwritten, "queue", "overwritten")
	s.count(losses, unsent, "sending", "refused_by_host")
	if len(s.Clusters) > 0 {
		var packets, dialogs uint64
		for i := range s.Clusters {
			packets += s.Clusters[i].Unreadable()
			dialogs += s.Clusters[i].RefusedChunks
		}
		s.count(losses, packets, "cluster", "unreadable_packets")
		s.count(losses, dialogs, "cluster", "unreadable_dialogs_of_syncs")
	}
}

// rings sends metrics of the rings and their consumers.
func (s *scrape) rings() {
	for i := range s.Rings {
		r, number := &s.Rings[i], strconv.Itoa(i)
		s.count(ringRecords, r.Records, number)
		s.count(ringSize, r.Size, number)
		s.count(ringFill, r.Fill, number)
		s.count(ringHighWater, r.HighWater, number)
		s.count(ringRefused, r.Refused, number)
		s.count(ringLateWakeups, r.LateWakeups, number)
	}
	s.durations(latency, &s.Engine.Latency, latencyBounds)
	s.sizes(batch, &s.Engine.Batches)
}

// bySource sends the metrics of each source, up to ownSeries of them.
func (s *scrape) bySource() {
	n, rest := 0, control.SourceStatus{Address: other}
	for i := range s.Sources {
		src := &s.Sources[i]
		if src.Address != other {
			if n++; n <= ownSeries {
				s.source(src)
				continue
			}
		}
		rest.Events += src.Events
		rest.Rejected += src.Rejected
		rest.Restarts += src.Restarts
	}
	s.send(sources, float64(n))
	s.source(&rest)
}

func (s *scrape) source(src *control.SourceStatus) {
	s.count(sourceEvents, src.Events, src.Address)
	s.count(sourceRejected, src.Rejected, src.Address)
	s.count(sourceRestarts, uint64(src.Restarts), src.Address)
	if src.Counts {
		s.moment(sourceLast, src.Last, src.Address)
	}
	if src.Skew != nil {
		s.send(sourceSkew, *src.Skew, src.Address)
	}
}

// destinationStates are those of control.DestinationStatus.
var destinationStates = [...]string{"resolving", "up", "refused", "unreachable"}

// byDestination sends the metrics of each backup.
func (s *scrape) byDestination() {
	for i := range s.Destinations {
		d := &s.Destinations[i]
		for _, st := range destinationStates {
			s.flag(destinationState, d.State == st, d.Address, st)
		}
		s.flag(destinationNeedsSync, d.NeedsSync != "", d.Address)
		s.flag(destinationPaused, d.Paused, d.Address)
		s.count(destinationSent, d.Sent, d.Address)
		s.count(destinationSentBytes, d.Bytes, d.Address)
		s.count(destinationQueued, d.Queued, d.Address)
		s.count(destinationDropped, d.Dropped, d.Address)
		s.count(destinationLost, d.Lost, d.Address)
		s.count(destinationErrors, d.Refusals, d.Address, "refused")
		s.count(destinationErrors, d.Unreachables, d.Address, "unreachable")
		s.count(destinationErrors, d.Errors-min(d.Errors, d.Refusals+d.Unreachables), d.Address, "other")
		s.count(destinationOwn, d.Own, d.Address)
		for reason, n := range d.Held {
			s.count(destinationHeld, n, d.Address, reason)
		}
		s.count(destinationUnmatched, d.Unmatched, d.Address)
		s.count(destinationConverted, d.Converted, d.Address)
		for field, n := range d.ConversionLost {
			s.count(destinationConversionLost, n, d.Address, field)
		}
	}
}
