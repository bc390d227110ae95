package appliance

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/cluster/member"
	"binrepd/userspace/cluster/member/membertest"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/watch/control"
)

// pairOf starts model nodes 1 and 2 at addresses 127.0.NET.1 and .2 and returns them with the configuration of an
// appliance that is node 3 of their cluster.
func pairOf(t *testing.T, net byte, donor membertest.Donor) (one, two *membertest.Node, c Config) {
	t.Helper()
	start := func(id int32) *membertest.Node {
		return membertest.Start(t, membertest.Config{
			Cluster: 1, ID: id, Addr: netip.AddrFrom4([4]byte{127, 0, net, byte(id)}), Learn: true, Synced: true, Quick: true, Donor: donor,
		})
	}
	one, two = start(1), start(2)
	c = clusterConfig(t, one)
	m := &c.Clusters[0]
	m.Peers = append(m.Peers, clusterConfig(t, two).Clusters[0].Peers[0])
	m.Listen.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, net, 3}), 0)
	c.Listen = nil
	return one, two, c
}

// joined waits until both links are up and the first sync is complete.
func joined(t *testing.T, r *running) {
	t.Helper()
	awaitStatus(t, r, "both are up, and a sync", func(s *control.Status) bool {
		return len(s.Clusters) == 1 && s.Clusters[0].Sync.Done > 0 && len(s.Clusters[0].Nodes) == 2 &&
			!slices.ContainsFunc(s.Clusters[0].Nodes, func(n control.ClusterNode) bool { return n.LinkState != membership.Up })
	})
}

// TestSilentNode: a node answers pings and sends nothing, while another one sends.
func TestSilentNode(t *testing.T) {
	t.Parallel()
	one, two, c := pairOf(t, 6, membertest.Donor{})
	c.StaleAfter = 500 * time.Millisecond
	r := start(t, c)
	joined(t, r)
	if err := two.SendDialog(3, 1, 4, bodyOf(t, "of node 2", 2)); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, r, "the call of node 2", func(s *control.Status) bool { return s.Dialogs == 1 })
	s := awaitStatus(t, r, "stale", func(s *control.Status) bool {
		if err := one.SendDialog(3, 2, 4, bodyOf(t, "of node 1", 1)); err != nil {
			t.Fatal(err)
		}
		return s.Word == control.Stale
	})
	if !strings.HasPrefix(s.Reason, "node 2 of cluster 1 answers pings and has sent nothing for ") || !strings.HasSuffix(s.Reason, ", while node 1 sends") {
		t.Error(s.Reason)
	}
}

// TestUnreadableVersion: packets of a version that no release sends make the word LOSING, and are refused by name.
func TestUnreadableVersion(t *testing.T) {
	t.Parallel()
	one, _, c := pairOf(t, 7, membertest.Donor{})
	r := start(t, c)
	joined(t, r)
	for _, version := range [...]int16{4, 9} {
		if err := one.SendDialog(3, 1, version, bodyOf(t, "a call", 1)); err != nil {
			t.Fatal(err)
		}
	}
	s := awaitStatus(t, r, "losing", func(s *control.Status) bool { return s.Word == control.Losing })
	if !strings.HasSuffix(s.Reason, "packets of cluster 1 in a version or layout that can't be read") || s.Clusters[0].Account.Rejected["bad_version"] != 1 || s.Dialogs != 1 {
		t.Errorf("%s, %+v", s.Reason, s.Clusters[0].Account)
	}
}

// TestUnreadableSync: a sync whose data have a version that no release sends brings nothing, however right its total
// is. A single dialog that can't be read doesn't spoil a sync, but is counted.
func TestUnreadableSync(t *testing.T) {
	t.Parallel()
	good := bodyOf(t, "a call", 1)
	for name, test := range map[string]struct {
		net    byte
		donor  membertest.Donor
		word   control.Word
		reason string
	}{
		"version": {8, membertest.Donor{Chunks: [][]byte{good}, Version: 9}, control.Incomplete, "a part of it can't be read: no_such_version: data of version 9"},
		"dialog":  {9, membertest.Donor{Chunks: [][]byte{good, []byte("x")}}, control.Losing, "dialogs in a sync of cluster 1 that can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, c := pairOf(t, test.net, test.donor)
			r := start(t, c)
			s := awaitStatus(t, r, "the word", func(s *control.Status) bool {
				return s.Word == test.word && s.Clusters[0].Sync.State != member.SyncRunning
			})
			if !strings.HasSuffix(s.Reason, test.reason) {
				t.Error(s.Reason)
			}
			if test.word == control.Losing && (s.Dialogs != 1 || s.Clusters[0].RefusedChunks == 0 || !s.Clusters[0].Sync.Last.Complete) {
				t.Errorf("%d dialogs, %+v", s.Dialogs, s.Clusters[0])
			}
		})
	}
}

// TestTagConflict: two nodes claim a tag within a short time. That is a problem beside the word.
func TestTagConflict(t *testing.T) {
	t.Parallel()
	one, two, c := pairOf(t, 10, membertest.Donor{})
	r := start(t, c)
	joined(t, r)
	for _, n := range [...]*membertest.Node{one, two} {
		if err := n.Claim(3, "vip"); err != nil {
			t.Fatal(err)
		}
		awaitStatus(t, r, "the tag", func(s *control.Status) bool {
			return len(s.Clusters[0].Tags) == 1 && s.Clusters[0].Tags[0].Active == n.ID()
		})
	}
	s := r.Status()
	if len(s.Problems) != 1 || s.Problems[0].Code != control.TagConflict || !strings.HasPrefix(s.Problems[0].Text, "nodes 1 and 2 of cluster 1 both claimed the sharing tag vip") {
		t.Errorf("%+v", s.Problems)
	}
}

// TestDeadDonor: if the only nodes die after a complete sync, the word stays STALE and names one, although the sync
// that is wanted can't be made. If none was complete before, the word is INCOMPLETE.
func TestDeadDonor(t *testing.T) {
	t.Parallel()
	const patience = 300 * time.Millisecond
	one, two, c := pairOf(t, 11, membertest.Donor{Chunks: [][]byte{bodyOf(t, "a call", 1)}})
	c.Clusters[0].Times.Patience = patience
	again := c.Clusters[0]
	r := start(t, c)
	joined(t, r)
	one.Stop()
	two.Stop()
	s := awaitStatus(t, r, "a sync is wanted in vain for a while", func(s *control.Status) bool {
		y := &s.Clusters[0].Sync
		return s.Word == control.Stale && y.State == member.SyncWanted && time.Since(y.Since) > 3*patience
	})
	if !strings.HasPrefix(s.Reason, "node 1 of cluster 1 has been down for ") || s.Clusters[0].Sync.Incomplete != "" || s.Dialogs != 1 {
		t.Errorf("%s, %+v", s.Reason, s.Clusters[0].Sync)
	}
	fresh := testConfig()
	again.Listen.Addr = netip.MustParseAddrPort("127.0.11.4:0")
	fresh.Listen, fresh.Clusters = nil, []member.Config{again}
	s = awaitStatus(t, start(t, fresh), "incomplete", func(s *control.Status) bool { return s.Word == control.Incomplete })
	if !strings.HasPrefix(s.Reason, "cluster 1: no node has been up for ") || !strings.HasSuffix(s.Reason, " that could fill the table (joined the cluster)") {
		t.Error(s.Reason)
	}
}
