package appliance

import (
	"errors"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"binrepd/userspace/cluster/member"
	"binrepd/userspace/cluster/member/membertest"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/in/stream"
	"binrepd/userspace/trace/capture"
	"binrepd/userspace/trace/record"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin2"
)

// awaitStatus waits until the status is as wanted.
func awaitStatus(t *testing.T, r *running, what string, holds func(*control.Status) bool) control.Status {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s := r.Status()
		if holds(&s) {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s: %s: %s, %+v", what, s.Word, s.Reason, s.Clusters)
		}
	}
}

// clusterConfig is that of node 3, whose one peer is a model node.
func clusterConfig(t *testing.T, n *membertest.Node) Config {
	t.Helper()
	c := testConfig()
	u, err := stream.ParseURL(n.URL())
	if err != nil {
		t.Fatal(err)
	}
	c.Clusters = []member.Config{{
		Cluster: 1, Node: 3, Listen: stream.URL{Addr: netip.MustParseAddrPort("127.0.0.33:0")}, Peers: []member.Peer{{Node: n.ID(), URL: u}},
		Times: member.Times{PingInterval: 200 * time.Millisecond, PingTimeout: 100 * time.Millisecond, Settle: 5 * time.Millisecond,
			Silence: 200 * time.Millisecond, RetryMin: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond},
		Limits: stream.Limits{BackoffMin: 20 * time.Millisecond, BackoffMax: 100 * time.Millisecond},
	}}
	return c
}

func startModel(t *testing.T, donor membertest.Donor) *membertest.Node {
	return membertest.Start(t, membertest.Config{
		Cluster: 1, ID: 1, Addr: netip.MustParseAddr("127.0.0.31"), Learn: true, Synced: true, Quick: true, Donor: donor,
	})
}

// TestCluster: an appliance joins a cluster, with UDP listeners and without, and its status tells what it is in. The
// account adds up at the end, see start.
func TestCluster(t *testing.T) {
	for name, listen := range map[string]int{"alone": 0, "beside UDP": 1} {
		t.Run(name, func(t *testing.T) {
			node := startModel(t, membertest.Donor{Chunks: [][]byte{bodyOf(t, "a call", 1), bodyOf(t, "another", 2)}})
			c := clusterConfig(t, node)
			c.Listen = c.Listen[:listen]
			r := start(t, c)
			s := awaitStatus(t, r, "first sync", func(s *control.Status) bool { return len(s.Clusters) == 1 && s.Clusters[0].Sync.Done > 0 })
			cl := s.Clusters[0]
			if len(s.Listeners) != listen || cl.Cluster != 1 || cl.Node != 3 || len(cl.Nodes) != 1 || cl.Nodes[0].LinkState != membership.Up {
				t.Errorf("%+v", cl)
			}
			res, err := r.SyncCluster(t.Context(), control.ClusterSyncRequest{From: 1}, func(member.SyncStatus) {})
			if err != nil || !res.Complete || res.Chunks != 2 {
				t.Errorf("%+v, %v", res, err)
			}
			if _, err := r.SyncCluster(t.Context(), control.ClusterSyncRequest{Cluster: 7}, func(member.SyncStatus) {}); err == nil || err.Error() != "this binrepd isn't in cluster 7" {
				t.Error(err)
			}
			s = awaitStatus(t, r, "its packets in the account", func(s *control.Status) bool {
				return s.Seen > 0 && s.Sum() == s.Seen && s.Clusters[0].Account.Sum() == s.Clusters[0].Account.Seen
			})
			if listen == 0 && s.Seen != s.Clusters[0].Account.Seen {
				t.Errorf("%+v and %+v", s.Account, s.Clusters[0].Account)
			}
			node.Stop()
			s = awaitStatus(t, r, "node down", func(s *control.Status) bool { return s.Word == control.Stale })
			if !strings.HasPrefix(s.Reason, "node 1 of cluster 1 has been down for ") {
				t.Error(s.Reason)
			}
		})
	}
}

// TestClusterIncomplete: a donor that announces more than it sends.
func TestClusterIncomplete(t *testing.T) {
	r := start(t, clusterConfig(t, startModel(t, membertest.Donor{Chunks: [][]byte{bodyOf(t, "a call", 1)}, Excess: 1})))
	s := awaitStatus(t, r, "incomplete", func(s *control.Status) bool { return s.Word == control.Incomplete })
	if s.Word.ExitStatus() != 5 || !strings.Contains(s.Reason, "cluster 1: the sync failed after 1 dialogs of node 1") {
		t.Errorf("%s: %s", s.Word, s.Reason)
	}
}

// TestClusterIsRecorded: the recording has what a node sent, in the same number as the connections brought, and the
// reader of recordings finds the packets.
func TestClusterIsRecorded(t *testing.T) {
	node := startModel(t, membertest.Donor{Chunks: liveDialogs(2)})
	c := clusterConfig(t, node)
	c.Listen, c.Record, c.RecordSize = nil, filepath.Join(t.TempDir(), "record"), record.LeastLimit
	r := start(t, c)
	awaitStatus(t, r, "first sync", func(s *control.Status) bool { return s.Clusters[0].Sync.Done > 0 })
	node.Stop()
	s := awaitStatus(t, r, "the end of the connections, and the account of the recorder", func(s *control.Status) bool {
		return s.Word == control.Stale && s.Record.Waiting == 0 && s.Record.Recorded == s.Clusters[0].Stream.Totals.Read.Packets
	})
	if s.Record.Recorded < 4 {
		t.Errorf("%+v", s.Record)
	}
	files, err := record.Files(c.Record)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	reader := capture.NewReader(files[0].Path)
	defer reader.Close()
	kinds := map[bin2.Kind]int{}
	n := uint64(0)
	var d capture.Datagram
	for err = reader.Next(&d); err == nil; err = reader.Next(&d) {
		p, bad := bin2.Parse(d.Payload)
		if bad != nil || !d.TCP || d.Source.Addr() != netip.MustParseAddr("127.0.0.31") || d.Destination.Addr() != netip.MustParseAddr("127.0.0.33") {
			t.Errorf("%+v: %v", d, bad)
		}
		kind, _, _ := bin2.KindOf(p, 0)
		kinds[kind]++
		n++
	}
	if !errors.Is(err, io.EOF) || n != s.Record.Recorded || kinds[bin2.KindPong] == 0 || kinds[bin2.KindSyncEnd] == 0 || reader.Counts.Gaps != 0 {
		t.Errorf("%d packets of %d, %v: %v, %+v", n, s.Record.Recorded, kinds, err, reader.Counts)
	}
}
