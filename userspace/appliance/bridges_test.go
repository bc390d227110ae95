package appliance

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"binrepd/userspace/cluster/bridge"
	"binrepd/userspace/cluster/member"
	"binrepd/userspace/cluster/member/membertest"
	"binrepd/userspace/in/stream"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin2"
)

// TestClusterBridge: two appliances between two clusters, both ways. A call that a node of the first cluster makes reaches
// the node of the second one once from each appliance, with the appliance as its maker, and nothing comes back.
func TestClusterBridge(t *testing.T) {
	var passed, back atomic.Int32
	count := func(n *atomic.Int32) func(bin2.Packet) {
		return func(p bin2.Packet) {
			if string(p.Name()) != membertest.Dialogs {
				return
			}
			n.Add(1)
			if tr, ok := p.Trailer(); !ok || tr.Source != 3 && tr.Source != 4 {
				t.Errorf("trailer %+v", tr)
			}
		}
	}
	first := membertest.Start(t, membertest.Config{Cluster: 1, ID: 1, Addr: netip.MustParseAddr("127.0.0.31"), Learn: true, Synced: true, Quick: true,
		Packets: count(&back)})
	second := membertest.Start(t, membertest.Config{Cluster: 2, ID: 1, Addr: netip.MustParseAddr("127.0.0.41"), Learn: true, Synced: true, Quick: true,
		Packets: count(&passed)})
	var appliances []*running
	for node := int32(3); node <= 4; node++ {
		c := clusterConfig(t, first)
		c.Listen, c.Clusters[0].Node = nil, node
		c.Clusters[0].Listen.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(30 + node)}), 0)
		other := c.Clusters[0]
		u, err := stream.ParseURL(second.URL())
		if err != nil {
			t.Fatal(err)
		}
		other.Cluster, other.Peers = 2, []member.Peer{{Node: 1, URL: u}}
		other.Listen.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(40 + node)}), 0)
		c.Clusters = append(c.Clusters, other)
		c.Bridges = []bridge.Rule{{From: 1, To: 2}, {From: 2, To: 1}}
		// As operators configure it: the appliances name each other. A proxy's word alone can be lost while all of them start.
		for _, earlier := range appliances {
			for i, known := range earlier.Status().Clusters {
				u, err := stream.ParseURL(known.URL)
				if err != nil {
					t.Fatal(err)
				}
				c.Clusters[i].Peers = append(c.Clusters[i].Peers, member.Peer{Node: known.Node, URL: u})
			}
		}
		appliances = append(appliances, start(t, c))
	}
	for _, r := range appliances {
		awaitStatus(t, r, "both clusters filled, and the other appliance known", func(s *control.Status) bool {
			filled := len(s.Clusters) == 2 && len(s.Bridges) == 2 && s.Bridges[0].Nodes == 1 && s.Bridges[1].Nodes == 1
			for i := range s.Clusters {
				filled = filled && s.Clusters[i].Sync.Done > 0 && len(s.Clusters[i].Nodes) == 2
			}
			return filled
		})
	}
	call := liveDialogs(1)[0]
	for node := int32(3); node <= 4; node++ {
		if err := first.SendDialog(node, 1, 4, call); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range appliances {
		awaitStatus(t, r, "the call was passed on", func(s *control.Status) bool { return s.Dialogs == 1 && s.Bridges[0].Packets > 0 })
	}
	for end := time.Now().Add(30 * time.Second); passed.Load() < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d packets came to the second cluster", passed.Load())
		}
	}
	// What would circulate goes through the same queues: a second call is behind it.
	more := liveDialogs(2)[1]
	for node := int32(3); node <= 4; node++ {
		if err := first.SendDialog(node, 1, 4, more); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(30 * time.Second); passed.Load() < 4; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d packets came to the second cluster", passed.Load())
		}
	}
	for _, r := range appliances {
		s := r.Status()
		if s.Bridges[0].Packets != 2 || s.Bridges[1].Packets != 0 {
			t.Errorf("%+v", s.Bridges)
		}
	}
	if passed.Load() != 4 || back.Load() != 0 {
		t.Errorf("%d packets in the second cluster, %d back in the first", passed.Load(), back.Load())
	}
}
