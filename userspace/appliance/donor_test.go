package appliance

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"binrepd/dialog/layout"
	"binrepd/dialog/layout/layouttest"
	"binrepd/userspace/cluster/donor"
	"binrepd/userspace/cluster/member/membertest"
	"binrepd/userspace/cluster/membership"
	"binrepd/userspace/watch/control"
)

// liveDialogs returns calls that are in progress.
func liveDialogs(n int) (list [][]byte) {
	rng := rand.New(rand.NewPCG(1, 2))
	var v layout.View
	for len(list) < n {
		b := layouttest.Dialog(rng, layout.Bin4Typed)
		if layout.Parse(layout.Bin4Typed, b, &v) != layout.NoFault || len(v.Bytes(layout.CallerSocket)) == 0 || len(v.Bytes(layout.CalleeSocket)) == 0 {
			continue
		}
		v.SetNumber(layout.State, 4)
		v.SetNumber(layout.Start, uint32(time.Now().Unix()))
		v.SetNumber(layout.Timeout, uint32(time.Now().Add(time.Hour).Unix()))
		list = append(list, b)
	}
	return list
}

// restarted starts node 1 at the port of an earlier life. It isn't synced.
func restarted(t *testing.T, port uint16, a *membertest.Answers) *membertest.Node {
	t.Helper()
	return membertest.Start(t, membertest.Config{
		Cluster: 1, ID: 1, Addr: netip.MustParseAddr("127.0.0.31"), Port: port, Learn: true, Quick: true, Packets: a.Take,
	})
}

func askSync(t *testing.T, n *membertest.Node, capability string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); n.AskSync(3, capability, 3) != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no way to the appliance")
		}
	}
}

// TestDonor: the only proxy restarts, and takes all its calls back from the appliance, which asked it for them before.
func TestDonor(t *testing.T) {
	calls := liveDialogs(50)
	node := startModel(t, membertest.Donor{Chunks: calls})
	r := start(t, clusterConfig(t, node))
	s := awaitStatus(t, r, "announced", func(s *control.Status) bool { return len(s.Clusters) == 1 && s.Clusters[0].Donor.Announce })
	want := int(s.Dialogs)
	port := node.Port()
	node.Stop()
	awaitStatus(t, r, "withdrawn", func(s *control.Status) bool { return !s.Clusters[0].Donor.Announce })
	var a membertest.Answers
	node = restarted(t, port, &a)
	awaitStatus(t, r, "announced to the new life", func(s *control.Status) bool {
		return s.Clusters[0].Donor.Announce && s.Clusters[0].Nodes[0].Restarts == 1 && node.Sees(3) == membership.Up
	})
	askSync(t, node, membertest.Dialogs)
	askSync(t, node, membertest.Dialogs) // the second one joins
	awaitStatus(t, r, "answered", func(s *control.Status) bool { return s.Clusters[0].Donor.Completed == 1 })
	if chunks, totals := a.Got(); chunks != want || len(totals) != 1 || int(totals[0]) != want {
		t.Errorf("%d chunks, totals %v, want %d", chunks, totals, want)
	}
}

// TestEmptyDonor is experiment E6 of the specification: an appliance that has no dialogs joins, and a node that has some
// asks it. It gets no answer, with which it would end its calls; a request for contacts is answered with no data.
func TestEmptyDonor(t *testing.T) {
	for _, mode := range [...]string{"auto", "seed"} {
		var a membertest.Answers
		node := membertest.Start(t, membertest.Config{
			Cluster: 1, ID: 1, Addr: netip.MustParseAddr("127.0.0.31"), Learn: true, Quick: true, Packets: a.Take, Donor: membertest.Donor{Silent: true},
		})
		c := clusterConfig(t, node)
		if mode == "seed" {
			c.Clusters[0].Donor.Mode = donor.Seed
		}
		r := start(t, c)
		awaitStatus(t, r, "up", func(s *control.Status) bool {
			return len(s.Clusters) == 1 && s.Clusters[0].Nodes[0].LinkState == membership.Up && node.Sees(3) == membership.Up
		})
		askSync(t, node, membertest.Dialogs)
		askSync(t, node, "usrloc-contact-repl")
		s := awaitStatus(t, r, "both requests", func(s *control.Status) bool { return s.Clusters[0].Answered == 1 && len(s.Clusters[0].Donor.Owed) == 1 })
		if chunks, totals := a.Got(); chunks > 0 || len(totals) > 0 || s.Clusters[0].Donor.Announce || s.Clusters[0].Donor.Why == "" {
			t.Errorf("%s: %d chunks, totals %v, %+v", mode, chunks, totals, s.Clusters[0].Donor)
		}
		node.Stop()
	}
}

// TestSingleProxyWithoutSeed: the only proxy isn't synced, and waits for a donor. The appliance asks it for what it has, and
// can answer it then. The same again after a gap in the proxy's life.
func TestSingleProxyWithoutSeed(t *testing.T) {
	calls := liveDialogs(20)
	var a membertest.Answers
	node := membertest.Start(t, membertest.Config{
		Cluster: 1, ID: 1, Addr: netip.MustParseAddr("127.0.0.31"), Learn: true, Quick: true, Packets: a.Take, Donor: membertest.Donor{Chunks: calls},
	})
	c := clusterConfig(t, node)
	c.Clusters[0].Times.Unsure = 50 * time.Millisecond
	r := start(t, c)
	for i := range 2 {
		askSync(t, node, membertest.Dialogs)
		s := awaitStatus(t, r, "answered", func(s *control.Status) bool {
			_, totals := a.Got()
			return len(s.Clusters) == 1 && s.Clusters[0].Donor.Announce && len(totals) == i+1
		})
		if chunks, totals := a.Got(); len(totals) != i+1 || int(totals[i]) != int(s.Dialogs) || chunks != (i+1)*int(s.Dialogs) {
			t.Errorf("%d chunks, totals %v, %d dialogs", chunks, totals, s.Dialogs)
		}
		node.Cut()
		awaitStatus(t, r, "withdrawn or announced again", func(s *control.Status) bool { return s.Clusters[0].Sync.Done > uint64(i+1) })
	}
}

// TestStrangeRequests: a node asks in a version that no release has, for a capability that doesn't exist, and for dialogs
// again and again. It gets one answer, whole.
func TestStrangeRequests(t *testing.T) {
	calls := liveDialogs(30)
	node := startModel(t, membertest.Donor{Chunks: calls})
	r := start(t, clusterConfig(t, node))
	s := awaitStatus(t, r, "announced", func(s *control.Status) bool { return len(s.Clusters) == 1 && s.Clusters[0].Donor.Announce })
	want := int(s.Dialogs)
	port := node.Port()
	node.Stop()
	awaitStatus(t, r, "withdrawn", func(s *control.Status) bool { return !s.Clusters[0].Donor.Announce })
	var a membertest.Answers
	node = restarted(t, port, &a)
	awaitStatus(t, r, "announced to the new life", func(s *control.Status) bool {
		return s.Clusters[0].Donor.Announce && s.Clusters[0].Nodes[0].Restarts == 1 && node.Sees(3) == membership.Up
	})
	for _, version := range [...]int16{0, 9, -1, 32767} {
		_ = node.AskSync(3, membertest.Dialogs, version) // the library may refuse to write it
	}
	_ = node.AskSync(3, "no-such-repl", 3)
	awaitStatus(t, r, "nothing owed", func(s *control.Status) bool { d := s.Clusters[0].Donor; return len(d.Owed) == 0 && len(d.Running) == 0 })
	for range 5 {
		askSync(t, node, membertest.Dialogs)
	}
	awaitStatus(t, r, "answered", func(s *control.Status) bool { return s.Clusters[0].Donor.Completed == 1 })
	if chunks, totals := a.Got(); chunks != want || len(totals) != 1 || int(totals[0]) != want {
		t.Errorf("%d chunks, totals %v, want %d", chunks, totals, want)
	}
}

// TestRequesterDies: a node dies in the middle of its answer. Its next life asks again, and gets everything.
func TestRequesterDies(t *testing.T) {
	calls := liveDialogs(60)
	node := startModel(t, membertest.Donor{Chunks: calls})
	c := clusterConfig(t, node)
	c.Clusters[0].Donor.Rate = 100
	r := start(t, c)
	s := awaitStatus(t, r, "announced", func(s *control.Status) bool { return len(s.Clusters) == 1 && s.Clusters[0].Donor.Announce })
	want := int(s.Dialogs)
	port := node.Port()
	for life := range 2 {
		node.Stop()
		awaitStatus(t, r, "withdrawn", func(s *control.Status) bool { return !s.Clusters[0].Donor.Announce })
		var a membertest.Answers
		// Numbers of messages carry their time in seconds, and a life that begins in the second of the last one's looks like it.
		begun := time.Now().Unix()
		awaitStatus(t, r, "a later second", func(*control.Status) bool { return time.Now().Unix() > begun+1 })
		node = restarted(t, port, &a)
		awaitStatus(t, r, "announced to the new life", func(s *control.Status) bool {
			return s.Clusters[0].Donor.Announce && int(s.Clusters[0].Nodes[0].Restarts) == life+1 && node.Sees(3) == membership.Up
		})
		askSync(t, node, membertest.Dialogs)
		if life == 0 {
			awaitStatus(t, r, "some were sent", func(*control.Status) bool { chunks, _ := a.Got(); return chunks > 5 })
			continue
		}
		awaitStatus(t, r, "all were sent", func(*control.Status) bool { _, totals := a.Got(); return len(totals) == 1 })
		if chunks, totals := a.Got(); chunks != want || int(totals[0]) != want {
			t.Errorf("%d chunks, totals %v, want %d", chunks, totals, want)
		}
	}
}
