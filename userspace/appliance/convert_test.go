package appliance

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"binrepd/dialog"
	"binrepd/dialog/layout"
	"binrepd/userspace/cluster/member/membertest"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/out/egress"
	"binrepd/userspace/watch/control"
	"binrepd/userspace/wire/bin1"
	"binrepd/userspace/wire/bin2"
)

// dialogsAt is what a model node got of live packets about dialogs, by kind.
type dialogsAt struct {
	mu    sync.Mutex
	kinds map[layout.Kind]int
}

func (d *dialogsAt) take(p bin2.Packet) {
	if p.Capability() != bin2.Dialogs {
		return
	}
	kind, fault := layout.KindOf(layout.Version(p.Version()), p.Type(), p.Body())
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kinds == nil {
		d.kinds = map[layout.Kind]int{}
	}
	if fault == layout.NoFault {
		d.kinds[kind]++
	}
}

func (d *dialogsAt) count(k layout.Kind) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kinds[k]
}

// proxy1 is a socket that takes what a proxy of generation 1 would.
type proxy1 struct {
	net.PacketConn
	mu    sync.Mutex
	kinds map[dialog.Kind]int
}

func startProxy1(t *testing.T) *proxy1 {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy1{PacketConn: conn, kinds: map[dialog.Kind]int{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var ev dialog.Event
			if bin1.Decode(buf[:n], &ev) == bin1.Dialog {
				p.mu.Lock()
				p.kinds[ev.Kind]++
				p.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return p
}

func (p *proxy1) count(k dialog.Kind) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kinds[k]
}

// TestBetweenGenerations: calls of a UDP proxy reach a node of a cluster live, and by a push. Calls of the node reach a backup
// of generation 1. Neither gets back what it told.
func TestBetweenGenerations(t *testing.T) {
	var got dialogsAt
	node := membertest.Start(t, membertest.Config{
		Cluster: 1, ID: 1, Addr: netip.MustParseAddr("127.0.0.31"), Learn: true, Synced: true, Quick: true, Packets: got.take,
		Donor: membertest.Donor{Chunks: liveDialogs(20)},
	})
	backup := startProxy1(t)
	c := clusterConfig(t, node)
	c.Clusters[0].Donor.TakesUDP = true
	c.Replicate = []egress.Destination{{Address: backup.LocalAddr().String()}}
	r := start(t, c)
	s := awaitStatus(t, r, "the dialogs of the node", func(s *control.Status) bool {
		return len(s.Clusters) == 1 && s.Clusters[0].Sync.Done > 0 && node.Sees(3) == membership.Up
	})
	ofNode := int(s.Dialogs)
	s = awaitStatus(t, r, "the dialogs of the node at the backup", func(s *control.Status) bool {
		return len(s.Destinations) == 1 && s.Destinations[0].Converted > 0 && s.Destinations[0].Queued == 0 &&
			uint64(backup.count(dialog.Update)) == s.Destinations[0].Sent+s.Destinations[0].Repeated
	})
	if n := backup.count(dialog.Update); n < ofNode/2 || uint64(n) != s.Destinations[0].Sent+s.Destinations[0].Repeated {
		t.Errorf("%d updates of %d dialogs: %+v", n, ofNode, s.Destinations[0])
	}
	if got.count(layout.Created)+got.count(layout.Updated) > 0 {
		t.Errorf("the node got its own dialogs back: %v", got.kinds)
	}

	conn := dial(t, r.Appliance)
	var bodies [][]byte
	for _, b := range liveDialogs(10) {
		var v layout.View
		var report layout.Report
		layout.Parse(layout.Bin4Typed, b, &v)
		if b, _ = v.AppendWith(nil, layout.CallID, []byte{'u', 'd', 'p', byte('0' + len(bodies))}); layout.Parse(layout.Bin4Typed, b, &v) != layout.NoFault {
			t.Fatal("no dialog")
		}
		if b, _ = v.Convert(nil, layout.UDP, &report); report.Refusal == layout.NotRefused {
			bodies = append(bodies, b)
		}
	}
	before := r.Status().Seen
	for _, b := range bodies {
		if _, err := conn.Write(bin1.Append(nil, dialog.Create, b)); err != nil {
			t.Fatal(err)
		}
	}
	awaitStatus(t, r, "calls of the proxy", func(s *control.Status) bool { return s.Seen >= before+uint64(len(bodies)) })
	s = awaitStatus(t, r, "calls of the proxy at the node", func(*control.Status) bool { return got.count(layout.Created) == len(bodies) })
	summary, err := r.Sync(t.Context(), control.SyncRequest{Node: 1, Cluster: 1, Rate: 10000, Release: "3.6"}, func(control.SyncProgress) {})
	if err != nil || !summary.Complete || int(summary.Dialogs) < len(bodies) || got.count(layout.Updated) == 0 {
		t.Errorf("%+v, %v", summary, err)
	}
	var v layout.View
	layout.Parse(layout.UDP, bodies[0], &v)
	if _, err := conn.Write(bin1.Append(nil, dialog.Delete, v.Key())); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, r, "the end at both", func(s *control.Status) bool { return got.count(layout.Deleted) > 0 && backup.count(dialog.Delete) > 0 })
	if fed := r.Status().Clusters[0].UDP; fed == nil {
		t.Error("no account of what went into the cluster")
	}
	for _, bad := range [...]control.SyncRequest{{Node: 9}, {Node: 1, Cluster: 7}, {Node: 1, Release: "1.11"}, {Node: 1, Rewrites: []string{"x"}}} {
		if _, err := r.Sync(t.Context(), bad, func(control.SyncProgress) {}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
