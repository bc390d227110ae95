package telemetry

import (
	"fmt"
	"net/netip"
	"time"

	"binrepd/dialog"
	"binrepd/userspace/cluster/member"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/packets"
	"binrepd/userspace/state/engine"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1"
)

// fixedTime is the time of the tests' snapshot.
var fixedTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fixture is a snapshot with a value for every metric. The values show where they came from.
func fixture() Picture {
	var a engine.Account
	a.Received, a.Bytes = 5000, 1_500_000
	for k := dialog.Create; k <= dialog.Delete; k++ {
		for o := dialog.Applied; o < dialog.Outcomes; o++ {
			a.Outcomes[k][o] = uint64(k)*100 + uint64(o)
		}
	}
	for v := bin1.OtherCapability; v < bin1.Verdicts; v++ {
		a.Verdicts[v] = uint64(v) * 3
	}
	e := engine.Status{
		Started:      fixedTime.Add(-time.Hour),
		Intakes:      []engine.IntakeStatus{{Intake: packets.Listeners([]netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:5556")})[0], Account: a}},
		Capabilities: map[string]uint64{"ul": 2},
		Table:        dialog.Counts{Unremembered: 4},
	}
	for _, us := range []int64{0, 3, 40, 41, 90, 250, 2_000, 9_000_000} {
		e.Latency.Observe(us * 1000)
	}
	for _, n := range []int{1, 1, 1, 2, 40, 512} {
		e.Batches.Observe(n)
	}
	lost := map[string]uint64{"socket_buffer": 7, "truncated": 1, "rate_limited": 12}
	account := control.NewAccount(5040, &a, 20, lost)
	return Picture{
		Engine:   e,
		Status:   fixtureStatus(account),
		Syncs:    fixtureSyncs(),
		Settings: Settings{Revision: "0123abc", GoVersion: "go1.26.0", StaleAfter: 5 * time.Minute, SaveInterval: 30 * time.Second},
	}
}

func fixtureSyncs() Syncs {
	s := Syncs{Complete: 2, Failed: 1}
	s.Duration.Observe(int64(4 * time.Second))
	s.Duration.Observe(int64(20 * time.Minute))
	return s
}

func fixtureStatus(account control.Account) control.Status {
	full, skew := 86_400.5, -2.0
	s := control.Status{
		Word: control.Losing, Reason: "7 lost within 1m0s: socket_buffer", Version: "v1.2.3", Started: fixedTime.Add(-time.Hour),
		Mode: "xdp-generic", FallbackReason: "eth1: the driver has no XDP",
		Problems: []control.Problem{
			{Code: control.InterfaceDown, Text: "interface eth1 has no carrier"}, {Code: control.Fallback, Text: "mode xdp-generic: eth1: the driver has no XDP"},
		},
		Interfaces: []control.InterfaceStatus{
			{Name: "eth0", Mode: "xdp-native", Link: control.LinkUp, Lost: 51, Dropped: 60, Missed: 52},
			{Name: "eth1", Mode: "xdp-generic", Reason: "the driver has no XDP", Link: control.LinkNoCarrier},
		},
		Dialogs: 1000, Answered: 30, Confirmed: 970, Early: 5, Tombstones: 400,
		Memory:  control.Memory{Records: 700_000, Used: 1 << 20, Mapped: 2 << 20, Limit: 1 << 30},
		Expired: control.Expired{Live: 3, Early: 2, Tombstones: 6000, Ghosts: 1}, MaxDialogs: 2_000_000, FullIn: &full,
		ClampedTimeouts: 8, ClockAhead: -0.25,
		CreateSent: 500, UpdateSent: 600, DeleteSent: 400,
		Account: account,
		Listeners: []control.ListenerStatus{{
			Address: "10.0.0.2:5556", Account: account, Steered: 4900, Socket: 100, Denied: 20,
			Passed: map[string]uint64{"fragment": 98, "ring_full": 2}, ReceiveBuffer: 64 << 20, Waiting: 4096,
		}},
		Clusters: []control.ClusterStatus{clusterFixture()},
		Bridges:  []control.BridgeStatus{bridgeFixture()},
		Sources: []control.SourceStatus{
			{Address: "10.0.0.1:5555", Events: 4000, Rejected: 9, Last: fixedTime.Add(-time.Second), Skew: &skew, Counts: true, Restarts: 2},
			{Address: "10.0.0.9:5555"}, // known from a saved table
		},
		Destinations: []control.DestinationStatus{{
			Address: "standby.example.net:5556", State: "refused", Sent: 1400, Bytes: 420_000, Queued: 11, Dropped: 5, Own: 3, Lost: 2,
			Errors: 21, Refusals: 12, Unreachables: 8,
			Held: map[string]uint64{"too_many_routes": 4, "expired": 0}, Unmatched: 6,
			Converted: 17, ConversionLost: map[string]uint64{"caller_out_sdp": 9, "vars.type": 1},
		}},
		Syncs: []control.SyncStatus{{To: "10.0.0.3:5556"}},
		Audits: []control.AuditStatus{
			{
				Proxy: "http://10.0.0.1:8888/mi", Interval: 3600, Last: fixedTime.Add(-7 * time.Minute),
				AuditCounts: control.AuditCounts{Compared: 997, Missing: 3, There: 2, Different: 1},
			},
			{Proxy: "udp:10.0.0.9:8080", Interval: 60, Error: "no answer"},
		},
		Rings: []control.RingStatus{
			{Records: 2500, Size: 64 << 20, Fill: 8192, HighWater: 1 << 20},
			{Records: 2400, Size: 64 << 20, HighWater: 2 << 20, Refused: 1, LateWakeups: 1},
		},
		Pin: &control.PinStatus{Dir: "/sys/fs/bpf/binrepd", Adopted: true, Waited: 17, Unsaved: 13, Overflowed: 14, Discarded: new(uint64(15))},
		State: &control.StateStatus{
			Restored: fixedTime.Add(-time.Hour - time.Minute), RestoredDialogs: 900,
			Saved: fixedTime.Add(-20 * time.Second), SavedDialogs: 998, SavedBytes: 333_000, SaveSeconds: 0.75, Saves: 119, Failures: 1,
		},
		Record: &control.RecordStatus{
			Dir: "/var/lib/binrepd/record", Limit: 1 << 30, Recorded: 5100, Bytes: 1_800_000, Waiting: 29, Files: 3, FileBytes: 150 << 20, Oldest: fixedTime.Add(-2 * time.Hour),
			Dropped: map[string]uint64{"slow_disk": 31, "disk_error": 32, "at_stop": 0}, Errors: 33, Error: "no space left on device",
		},
	}
	// More sources than have their own series.
	for i := range ownSeries {
		s.Sources = append(s.Sources, control.SourceStatus{
			Address: fmt.Sprintf("10.1.%d.%d:5555", i/256, i%256), Events: 2, Rejected: 1, Last: fixedTime.Add(-time.Duration(i) * time.Minute), Counts: true,
		})
	}
	return s
}

// bridgeFixture is a direction between two clusters.
func bridgeFixture() control.BridgeStatus {
	return control.BridgeStatus{From: 1, To: 2, Changes: 12, Packets: 9, NotSent: 1, Lost: 2, Held: map[string]uint64{"of_bridge": 3, "other_tag": 0, "no_node": 0}}
}

// clusterFixture is a cluster with a node that is up and one that is down.
func clusterFixture() control.ClusterStatus {
	c := control.ClusterStatus{Account: control.Account{
		Seen: 700, Applied: 680, Rejected: map[string]uint64{control.NotMember: 15, "refused_memory": 1}, Lost: map[string]uint64{"queue_full": 5},
	}}
	c.Cluster, c.Gaps, c.Counts.TagConflicts = 1, 4, 2
	c.UDP = &member.FeedStatus{Sent: 90, NotSent: 1, Lost: 2, Held: map[string]uint64{"no_socket": 3}, Dropped: map[string]uint64{"flags.flags": 4}}
	c.Conflicts = []control.ClusterConflict{{Tag: "vip", Node: 1, Events: 7, Refused: 3}}
	c.Sync = member.SyncStatus{Incomplete: "the sync failed", Done: 3, Failed: 2, Complete: fixedTime.Add(-10 * time.Minute)}
	for id, state := range map[int32]membership.LinkState{1: membership.Up, 2: membership.Down} {
		n := control.ClusterNode{}
		n.Node, n.LinkState, n.LinkSince, n.Restarts = id, state, fixedTime.Add(-time.Duration(id)*time.Minute), int(id)
		c.Nodes = append(c.Nodes, n)
	}
	return c
}
