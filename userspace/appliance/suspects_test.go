package appliance

import (
	"net/netip"
	"testing"
	"time"

	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/member"
	"binrepd/userspace/cluster/member/membertest"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/watch/control"
)

// bodyOf returns a call of generation 2 that was answered just now.
func bodyOf(t *testing.T, callID string, hid uint32) []byte {
	t.Helper()
	f := &layout.Fields{}
	f.Strings[layout.CallID], f.Strings[layout.FromTag], f.Strings[layout.ToTag] = []byte(callID), []byte("f"), []byte("t")
	now := uint32(time.Now().Unix())
	f.Numbers[layout.HID], f.Numbers[layout.State], f.Numbers[layout.Start], f.Numbers[layout.Timeout] = hid, 3, now, now+3600
	body, fault := f.Append(nil, layout.Bin4Typed)
	if fault != layout.NoFault {
		t.Fatal(fault)
	}
	return body
}

// TestSuspects: a node that was restarted accepts calls, fills its table by a sync, and drops one of the calls without a
// word. Another node keeps it, so its syncs prove nothing. That of the node itself does, and the call ends here.
func TestSuspects(t *testing.T) {
	t.Parallel()
	kept, dropped := bodyOf(t, "kept", 1), bodyOf(t, "dropped", 2)
	config := func(id int32, last byte) membertest.Config {
		return membertest.Config{Cluster: 1, ID: id, Addr: netip.AddrFrom4([4]byte{127, 0, 5, last}), Learn: true, Synced: true, Quick: true}
	}
	one, two := membertest.Start(t, config(1, 1)), membertest.Start(t, config(2, 2))
	c := clusterConfig(t, one)
	peer := clusterConfig(t, two).Clusters[0].Peers[0]
	m := &c.Clusters[0]
	m.Peers = append(m.Peers, peer)
	m.Listen.Addr = netip.MustParseAddrPort("127.0.5.3:0")
	m.Times.Pause, m.Times.Doubt, m.Times.NodeTimeout = 10*time.Millisecond, 100*time.Millisecond, 300*time.Millisecond
	r := start(t, c)
	link := func(s *control.Status, id int32) membership.LinkState {
		for _, n := range s.Clusters[0].Nodes {
			if n.Node == id {
				return n.LinkState
			}
		}
		return ""
	}
	awaitStatus(t, r, "both are up", func(s *control.Status) bool {
		return len(s.Clusters) == 1 && link(s, 1) == membership.Up && link(s, 2) == membership.Up && s.Clusters[0].Sync.Done > 0
	})
	one.Stop()
	awaitStatus(t, r, "node 1 is down", func(s *control.Status) bool { return link(s, 1) == membership.Down })
	again := config(1, 1)
	again.Port, again.Synced, again.Donor.Chunks = one.Port(), false, [][]byte{kept}
	one = membertest.Start(t, again)
	awaitStatus(t, r, "node 1 is up again", func(s *control.Status) bool { return link(s, 1) == membership.Up && len(s.Clusters[0].Doubts) == 1 })
	for _, body := range [][]byte{kept, dropped} {
		if err := one.SendDialog(3, 1, 4, body); err != nil {
			t.Fatal(err)
		}
	}
	before := awaitStatus(t, r, "both calls", func(s *control.Status) bool { return s.Dialogs == 2 })
	two.SetChunks([][]byte{kept, dropped})
	// A sync of the other node, which has both, proves nothing.
	if _, err := r.SyncCluster(t.Context(), control.ClusterSyncRequest{From: 2}, func(member.SyncStatus) {}); err != nil {
		t.Fatal(err)
	}
	if s := r.Status(); s.Dialogs != 2 || s.Clusters[0].SuspectsRemoved != 0 {
		t.Errorf("%d dialogs, %d were removed", s.Dialogs, s.Clusters[0].SuspectsRemoved)
	}
	one.SetSynced(true)
	s := awaitStatus(t, r, "the suspect has ended", func(s *control.Status) bool {
		return s.Clusters[0].SuspectsRemoved == 1 && s.Dialogs == 1 // a status reads one behind the other
	})
	if s.Dialogs != 1 || len(s.Clusters[0].Doubts) != 0 || s.Clusters[0].Sync.Last.Donor != 1 || s.Expired.Dropped != 1 || s.Expired.Ghosts != before.Expired.Ghosts {
		t.Errorf("%d dialogs, doubts %+v, last sync %+v", s.Dialogs, s.Clusters[0].Doubts, s.Clusters[0].Sync.Last)
	}
}

// TestEndsLostInAGap: a call ends while the link to its node is down, so its end is lost. The sync that follows the gap is one of that
// node, although the other node is there as well, and ends the call here. The other node's call, which this one lacks, stays.
func TestEndsLostInAGap(t *testing.T) {
	t.Parallel()
	kept, ended, others := bodyOf(t, "kept", 1), bodyOf(t, "ended", 2), bodyOf(t, "of the other", 3)
	config := func(id int32, last byte) membertest.Config {
		return membertest.Config{Cluster: 1, ID: id, Addr: netip.AddrFrom4([4]byte{127, 0, 5, last}), Learn: true, Synced: true, Quick: true}
	}
	one, two := membertest.Start(t, config(1, 11)), membertest.Start(t, config(2, 12))
	c := clusterConfig(t, one)
	m := &c.Clusters[0]
	m.Peers = append(m.Peers, clusterConfig(t, two).Clusters[0].Peers[0])
	m.Listen.Addr = netip.MustParseAddrPort("127.0.5.13:0")
	m.Times.Settle, m.Times.Pause = 10*time.Millisecond, 10*time.Millisecond
	r := start(t, c)
	awaitStatus(t, r, "both are up", func(s *control.Status) bool {
		return len(s.Clusters) == 1 && len(s.Clusters[0].Nodes) == 2 && s.Clusters[0].Nodes[0].LinkState == membership.Up &&
			s.Clusters[0].Nodes[1].LinkState == membership.Up && s.Clusters[0].Sync.Done > 0 && s.Clusters[0].Sync.State == "idle"
	})
	// A call that began in the second in which its node was known to be synced, or answered a sync, is left alone.
	quiet := time.Now().Add(2 * time.Second)
	awaitStatus(t, r, "two seconds have passed", func(*control.Status) bool { return time.Now().After(quiet) })
	for _, body := range [][]byte{kept, ended} {
		if err := one.SendDialog(m.Node, 1, 4, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := two.SendDialog(m.Node, 1, 4, others); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, r, "all calls", func(s *control.Status) bool { return s.Dialogs == 3 })
	one.SetChunks([][]byte{kept})
	two.SetChunks([][]byte{kept, ended, others})
	quiet = time.Now().Add(3 * time.Second) // a call that changed right before the request is left alone
	awaitStatus(t, r, "three seconds have passed", func(*control.Status) bool { return time.Now().After(quiet) })
	one.Cut()
	s := awaitStatus(t, r, "the call has ended", func(s *control.Status) bool { return s.Clusters[0].SuspectsRemoved == 1 && s.Dialogs == 2 })
	if s.Expired.Dropped != 1 {
		t.Errorf("%+v", s.Expired)
	}
}
