package control

import (
	"testing"
	"time"

	"binrepd/userspace/cluster/member"
	"binrepd/userspace/cluster/membership"
)

// clusterNode is a node that has been up since long ago and sent its last event at that time; zero: never.
func clusterNode(id int32, link membership.LinkState, last time.Time) ClusterNode {
	return ClusterNode{Last: last, NodeStatus: member.NodeStatus{NodeStatus: membership.NodeStatus{
		Node: id, LinkState: link, State: "enabled", LinkSince: time.Unix(testNow-600, 0),
	}}}
}

// TestClusterWord: what nodes of a cluster do to the word.
func TestClusterWord(t *testing.T) {
	now := time.Unix(testNow, 0)
	ago := func(seconds int) time.Time { return now.Add(-time.Duration(seconds) * time.Second) }
	for name, test := range map[string]struct {
		nodes      []ClusterNode
		active     int32 // for a sharing tag; 0: there is no tag
		incomplete string
		removed    bool
		want       Word
		reason     string
	}{
		"all send":   {nodes: []ClusterNode{clusterNode(1, membership.Up, ago(1)), clusterNode(2, membership.Up, ago(2))}, want: Ready},
		"one probes": {nodes: []ClusterNode{clusterNode(1, membership.Up, ago(1)), clusterNode(2, membership.Probe, ago(2))}, want: Ready},
		"one is down": {
			nodes: []ClusterNode{clusterNode(1, membership.Up, ago(1)), clusterNode(2, membership.Down, ago(2))},
			want:  Stale, reason: "node 2 of cluster 1 has been down for 10m0s",
		},
		"one is silent": {
			nodes: []ClusterNode{clusterNode(1, membership.Up, ago(1)), clusterNode(2, membership.Up, ago(300))},
			want:  Stale, reason: "node 2 of cluster 1 answers pings and has sent nothing for 5m0s, while node 1 sends",
		},
		"all are silent": {nodes: []ClusterNode{clusterNode(1, membership.Up, ago(300)), clusterNode(2, membership.Up, ago(300))}, want: Ready},
		"the silent one is a backup": {
			nodes: []ClusterNode{clusterNode(1, membership.Up, ago(1)), clusterNode(2, membership.Up, ago(300))}, active: 1, want: Ready,
		},
		"the silent one is active": {
			nodes:  []ClusterNode{clusterNode(1, membership.Up, ago(1)), clusterNode(2, membership.Up, ago(300))},
			active: 2, want: Stale, reason: "node 2 of cluster 1 answers pings and has sent nothing for 5m0s, while node 1 sends",
		},
		"an active one has never sent": {
			nodes:  []ClusterNode{clusterNode(1, membership.Up, ago(1)), clusterNode(2, membership.Up, time.Time{})},
			active: 2, want: Stale, reason: "node 2 of cluster 1 answers pings and has sent nothing for 10m0s, while node 1 sends",
		},
		"a spare one has never sent": {nodes: []ClusterNode{clusterNode(1, membership.Up, ago(1)), clusterNode(2, membership.Up, time.Time{})}, want: Ready},
		"no sync, and one is down": {
			nodes:      []ClusterNode{clusterNode(1, membership.Up, ago(1)), clusterNode(2, membership.Down, ago(2))},
			incomplete: "why", want: Incomplete, reason: "cluster 1: why",
		},
		"removed": {nodes: []ClusterNode{clusterNode(1, membership.Up, ago(1))}, removed: true, want: Stale, reason: "cluster 1: this node was removed from it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := statusWith(1, now)
			c := ClusterStatus{Nodes: test.nodes}
			c.Cluster, c.State, c.Sync.Incomplete = 1, "enabled", test.incomplete
			if test.removed {
				c.State = "removed"
			}
			if test.active != 0 {
				c.Tags = []membership.TagStatus{{Tag: "vip", Active: test.active}}
			}
			s.Clusters = []ClusterStatus{c}
			h := History{StaleAfter: time.Minute}
			h.Complete(now, s)
			if s.Word != test.want || s.Reason != test.reason {
				t.Errorf("%s: %q, want %s: %q", s.Word, s.Reason, test.want, test.reason)
			}
		})
	}
}

// TestUnreadable: what a node sends in a layout that can't be read makes the word LOSING for a minute.
func TestUnreadable(t *testing.T) {
	now := time.Unix(testNow, 0)
	status := func(packets, chunks uint64) *Status {
		s := statusWith(1, now)
		c := ClusterStatus{RefusedChunks: chunks, Account: Account{Rejected: map[string]uint64{"bad_version": packets, "truncated": 7}}}
		c.Cluster, c.State = 1, "enabled"
		s.Clusters = []ClusterStatus{c}
		return s
	}
	for reason, after := range map[string]*Status{
		"": status(0, 0),
		"2 lost within 1m0s: packets of cluster 1 in a version or layout that can't be read": status(2, 0),
		"3 lost within 1m0s: dialogs in a sync of cluster 1 that can't be read":              status(0, 3),
	} {
		h := History{}
		h.Sample(now.Add(-time.Minute), status(0, 0))
		h.Complete(now, after)
		if want := map[bool]Word{true: Ready, false: Losing}[reason == ""]; after.Word != want || after.Reason != reason {
			t.Errorf("%s: %q, want %q", after.Word, after.Reason, reason)
		}
	}
}
